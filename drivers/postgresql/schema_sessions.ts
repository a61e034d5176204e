/** How sessions begin and end, and who notices. */
export const SESSIONS: string = `
-- Removes what is left of a session that has ended, and tells who may miss it.
create or replace function tooz.bury(_session bigint) returns void language plpgsql volatile as $$
declare
  _gone record;
begin
  for _gone in delete from tooz.leader l where l.session = _session returning l.space, l.lock loop
    perform pg_notify('tooz_' || encode(_gone.space, 'hex'), 'e' || _gone.lock);
  end loop;
  for _gone in delete from tooz.member m using tooz.groups g
    where m.session = _session and g.number = m.group_number returning g.space, g.id loop
    perform pg_notify('tooz_' || encode(_gone.space, 'hex'), 'g' || encode(_gone.id, 'hex'));
  end loop;
  delete from tooz.connection c where c.session = _session;
end $$;

-- Begins a session on this connection, and buries those that nobody has. Answers with the server's time, in ms.
create or replace function tooz.open_session(_session bigint, _space bytea, _member bytea)
returns double precision language plpgsql volatile as $$
begin
  perform pg_advisory_lock(_session);
  perform pg_advisory_xact_lock(8390330741283745281);
  if not exists (select from tooz.calm) then
    -- Tokens that the crash may have made the server forget are not given again.
    perform setval('tooz.fence', nextval('tooz.fence') + 1000000);
    insert into tooz.calm values (true);
  end if;
  perform tooz.bury(c.session) from tooz.connection c
    where c.pid = pg_backend_pid() or c.pid <> all (array(select s.pid from pg_catalog.pg_stat_activity s));
  insert into tooz.connection (pid, session, space, member, waits)
    values (pg_backend_pid(), _session, _space, _member, false);
  return extract(epoch from clock_timestamp()) * 1000;
end $$;

-- Makes this connection a side of a session.
create or replace function tooz.open_side(_session bigint, _space bytea, _member bytea) returns void
language plpgsql volatile as $$
begin
  delete from tooz.connection c where c.pid = pg_backend_pid();
  insert into tooz.connection (pid, session, space, member, waits)
    values (pg_backend_pid(), _session, _space, _member, true);
end $$;

-- Puts a session into the ring of those whose end is noticed by the one before it; answers with that one.
create or replace function tooz.appear(_session bigint, _space bytea) returns bigint language plpgsql volatile as $$
begin
  -- One after the other, so that each sees the one before it.
  perform pg_advisory_xact_lock(8390330741283745282);
  update tooz.connection c set in_ring = true where c.session = _session and not c.waits;
  return (
    select c.session from tooz.connection c
    where c.space = _space and c.in_ring and not c.waits and c.session <> _session
    order by c.session < _session desc, c.session desc limit 1
  );
end $$;

-- Makes this side the one that guards.
create or replace function tooz.stand_guard() returns void language plpgsql volatile as $$
begin
  update tooz.connection c set in_ring = true where c.pid = pg_backend_pid();
end $$;

create or replace function tooz.look_again(_session bigint) returns void language plpgsql volatile as $$
begin
  perform pg_cancel_backend(c.pid) from tooz.connection c where c.session = _session and c.waits and c.in_ring;
end $$;

-- Waits on a side until the session after this one has ended, and buries it.
create or replace function tooz.guard(_session bigint, _space bytea, _slice integer) returns void
language plpgsql volatile as $$
declare
  _next bigint := (
    select c.session from tooz.connection c
    where c.space = _space and c.in_ring and not c.waits and c.session <> _session
    order by c.session > _session desc, c.session limit 1
  );
begin
  perform set_config('lock_timeout', _slice::text, true);
  -- Alone it waits for its own end, or to be told of another one.
  perform pg_advisory_lock_shared(coalesce(_next, _session));
  perform pg_advisory_unlock_shared(coalesce(_next, _session));
  perform tooz.bury(_next);
end $$;

-- Whether somebody has the presence of a session; of one's own it could always be had once more.
create or replace function tooz.is_alive(_session bigint, _own bigint) returns boolean
language plpgsql volatile as $$
begin
  if _session = _own then return true; end if;
  if not pg_try_advisory_lock_shared(_session) then return true; end if;
  perform pg_advisory_unlock_shared(_session);
  return false;
end $$;
`;
