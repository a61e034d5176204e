import { LOCKS } from "./schema_locks.ts";
import { SESSIONS } from "./schema_sessions.ts";
import { GROUPS } from "./schema_groups.ts";

/**
 * The SQL objects that the driver needs, all of them in a schema of their own.
 */

const TABLES = `
-- Fencing tokens, and versions of groups and members.
create sequence if not exists tooz.fence;
create sequence if not exists tooz.change;

-- Empty after a crash of the server, as all unlogged tables are, and on a standby that has become the primary.
create unlogged table if not exists tooz.calm (is_calm boolean);

-- Whose a connection of ours is. A row is worth nothing once its presence, the advisory lock "session", is free.
create table if not exists tooz.connection (
  pid integer primary key,
  session bigint not null,
  space bytea not null,
  member bytea not null,
  waits boolean not null,
  in_ring boolean not null default false
);
create index if not exists connection_session on tooz.connection (session);
create index if not exists connection_ring on tooz.connection (space, session) where in_ring and not waits;

-- How often a lock was broken, and from which of all breaks that counts; only for those that ever were.
create sequence if not exists tooz.breaks;
create table if not exists tooz.generation (
  lock bigint primary key,
  number bigint not null,
  counts_from bigint not null
);

-- What leaders say of themselves.
create table if not exists tooz.leader (
  lock bigint not null,
  token bigint not null,
  session bigint not null,
  space bytea not null,
  value bytea not null,
  since timestamptz not null default clock_timestamp(),
  primary key (lock, token)
);
create index if not exists leader_session on tooz.leader (session);

create table if not exists tooz.groups (
  number bigint generated always as identity primary key,
  space bytea not null,
  id bytea not null,
  made_by text not null,
  version bigint not null default nextval('tooz.change'),
  unique (space, id)
);
create table if not exists tooz.member (
  group_number bigint not null references tooz.groups on delete cascade,
  id bytea not null,
  session bigint not null,
  value bytea not null,
  version bigint not null default nextval('tooz.change'),
  primary key (group_number, id)
);
create index if not exists member_session on tooz.member (session);
`;

/** What says that all of this is there; made last. */
const VERSION = `
create or replace function tooz.version() returns integer language sql immutable as $$ select 1 $$;
`;

/** Lets one make it at a time, until the end of the transaction. */
export const ONE_AT_A_TIME = "select pg_advisory_xact_lock(8390330741283745280)";

/** Makes what the driver needs, in a transaction, by a user who may create a schema. */
export const SCHEMA: string = [
  "create schema if not exists tooz;",
  ...[TABLES, LOCKS, SESSIONS, GROUPS, VERSION].map((part) => part.trim()),
].join("\n\n");
