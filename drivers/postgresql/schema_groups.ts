/** Groups and their members. */
export const GROUPS: string = `
create or replace function tooz.tell_group(_space bytea, _id bytea) returns void language plpgsql volatile as $$
begin
  perform pg_notify('tooz_' || encode(_space, 'hex'), 'g' || encode(_id, 'hex'));
end $$;

create or replace function tooz.create_group(_space bytea, _id bytea, _by text) returns boolean
language plpgsql volatile as $$
begin
  insert into tooz.groups (space, id, made_by) values (_space, _id, _by) on conflict do nothing;
  return found;
end $$;

-- Deletes a group in which nobody has joined since it was read.
create or replace function tooz.delete_group(_space bytea, _id bytea, _version bigint) returns boolean
language plpgsql volatile as $$
begin
  delete from tooz.groups g where g.space = _space and g.id = _id and g.version = _version;
  if not found then return false; end if;
  perform tooz.tell_group(_space, _id);
  return true;
end $$;

-- The group, and a row for each live member, or for one.
create or replace function tooz.read_group(_space bytea, _id bytea, _member bytea, _own bigint)
returns table (made_by text, version bigint, member bytea, value bytea, member_version bigint)
language plpgsql volatile as $$
#variable_conflict use_column
begin
  return query
  select g.made_by, g.version, m.id, m.value, m.version
  from tooz.groups g left join tooz.member m on m.group_number = g.number
    and (_member is null or m.id = _member) and tooz.is_alive(m.session, _own)
  where g.space = _space and g.id = _id;
end $$;

-- Makes a member, in the place of a dead one or of that which was _seen.
create or replace function tooz.put_member(
  _space bytea, _id bytea, _member bytea, _value bytea, _seen bigint, _own bigint
) returns boolean language plpgsql volatile as $$
declare
  _group bigint;
  _old record;
begin
  select g.number into _group from tooz.groups g where g.space = _space and g.id = _id for update;
  if not found then return false; end if;
  select m.session, m.version into _old from tooz.member m where m.group_number = _group and m.id = _member;
  if found then
    if _seen is null and tooz.is_alive(_old.session, _own) then return false; end if;
    if _seen is not null and _seen <> _old.version then return false; end if;
  elsif _seen is not null then
    return false;
  end if;
  update tooz.groups g set version = nextval('tooz.change') where g.number = _group;
  insert into tooz.member as m (group_number, id, session, value) values (_group, _member, _own, _value)
    on conflict (group_number, id)
    do update set session = _own, value = _value, version = nextval('tooz.change');
  if _old.session <> _own then perform pg_notify('tooz_' || _old.session, 'holds'); end if;
  perform tooz.tell_group(_space, _id);
  return true;
end $$;

create or replace function tooz.amend_member(
  _space bytea, _id bytea, _member bytea, _value bytea, _seen bigint
) returns boolean language plpgsql volatile as $$
begin
  update tooz.member m set value = _value, version = nextval('tooz.change') from tooz.groups g
    where g.space = _space and g.id = _id and m.group_number = g.number and m.id = _member and m.version = _seen;
  if not found then return false; end if;
  perform tooz.tell_group(_space, _id);
  return true;
end $$;

create or replace function tooz.remove_member(_space bytea, _id bytea, _member bytea, _seen bigint) returns boolean
language plpgsql volatile as $$
declare
  _session bigint;
begin
  delete from tooz.member m using tooz.groups g
    where g.space = _space and g.id = _id and m.group_number = g.number and m.id = _member and m.version = _seen
    returning m.session into _session;
  if _session is null then return false; end if;
  perform pg_notify('tooz_' || _session, 'holds');
  perform tooz.tell_group(_space, _id);
  return true;
end $$;
`;
