/** The tables of this driver, as its page prints them. */

/** Names and hashes: compared byte by byte. */
const NAME = "varchar(64) character set ascii collate ascii_bin not null";
const TEXT = "longblob not null";
const NUMBER = "bigint unsigned not null";

/** By their names. Rows belong to a session and are dead when nobody has its presence lock, those of groups apart. */
export const TABLES: Readonly<Record<string, string>> = {
  // Its auto-increment is the fencing token. Mode: e exclusive, s shared, g a generation of a lock that was broken: those
  // that are looked for come last in the index, away from the many that were removed.
  tooz_hold: `create table if not exists tooz_hold (
  token bigint unsigned not null auto_increment primary key,
  base ${NAME},
  mode char(1) character set ascii collate ascii_bin not null,
  gen ${NUMBER},
  held ${NAME},
  session ${NAME},
  member varbinary(1024) not null,
  attempt varbinary(255) not null,
  value ${TEXT},
  since ${NUMBER},
  key (base, mode)
) engine = InnoDB`,
  tooz_wait: `create table if not exists tooz_wait (
  id bigint unsigned not null auto_increment primary key,
  base ${NAME},
  mode char(1) character set ascii collate ascii_bin not null,
  session ${NAME},
  member varbinary(1024) not null,
  attempt varbinary(255) not null,
  value ${TEXT},
  since ${NUMBER},
  key (base),
  key (attempt)
) engine = InnoDB`,
  tooz_session: `create table if not exists tooz_session (
  id bigint unsigned not null auto_increment primary key,
  space ${NAME},
  session ${NAME},
  key (space)
) engine = InnoDB`,
  tooz_watch: `create table if not exists tooz_watch (
  topic ${NAME},
  session ${NAME},
  rung ${NUMBER},
  primary key (topic, session),
  key (session)
) engine = InnoDB`,
  tooz_group: `create table if not exists tooz_group (
  base ${NAME} primary key,
  space ${NAME},
  name varbinary(1024) not null,
  made ${NAME},
  version ${NUMBER},
  key (space)
) engine = InnoDB`,
  tooz_member: `create table if not exists tooz_member (
  base ${NAME},
  member ${NAME},
  session ${NAME},
  version ${NAME},
  name varbinary(1024) not null,
  value ${TEXT},
  primary key (base, member),
  key (session)
) engine = InnoDB`,
};

/** Whether the tables are there, and the user has each right that it needs: they change nothing. */
export const PROBES: readonly string[] = Object.entries(TABLES).flatMap(([table, made]) => {
  const [, column = ""] = /\n {2}(\w+)/.exec(made) ?? [];
  return [
    `select 1 from ${table} limit 0`,
    `insert into ${table} select * from ${table} where 1 = 0`,
    `update ${table} set ${column} = ${column} where 1 = 0`,
    `delete from ${table} where 1 = 0`,
  ];
});
