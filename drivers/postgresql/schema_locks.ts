/** What locks and elections need beside the statements of `lock.ts`. */
export const LOCKS: string = `
-- The advisory key of a lock's hold: another one after each break.
create or replace function tooz.hold(_lock bigint, _number bigint) returns bigint language sql immutable as $$
  select case when _number = 0 then _lock else hashint8extended(_lock, _number) end
$$;

-- How often a lock was broken, as it is now: not as it was when the statement began that asks. A break that is prepared
-- counts from the moment when the sequence has come to it.
create or replace function tooz.number_of(_lock bigint) returns bigint language plpgsql volatile as $$
declare
  _now bigint := coalesce(pg_sequence_last_value('tooz.breaks'), 0);
begin
  return coalesce((select g.number - (g.counts_from > _now)::integer from tooz.generation g where g.lock = _lock), 0);
end $$;

-- What was broken since there were so many breaks in all, and how many there are now; always a row.
create or replace function tooz.breaks_since(_since bigint)
returns table (breaks bigint, lock bigint, number bigint, hold bigint) language plpgsql volatile as $$
#variable_conflict use_column
declare
  _now bigint := coalesce(pg_sequence_last_value('tooz.breaks'), 0);
begin
  return query select _now, g.lock, g.number, tooz.hold(g.lock, g.number)
  from (values (1)) one left join tooz.generation g on g.counts_from > _since and g.counts_from <= _now;
end $$;

-- Advisory locks of this database, put together from their halves.
create or replace view tooz.advisory as
  select pid, granted, mode = 'ShareLock' as shared, waitstart, objsubid = 2 as is_pair,
    (classid::bigint << 32) | objid::bigint as key
  from pg_catalog.pg_locks
  where locktype = 'advisory' and database = (select oid from pg_catalog.pg_database where datname = current_database());

-- Waits on a side until the lock is free, and keeps its turnstile. A head waits for _slice ms at most. What ended it
-- last time, if it is called _again, may have come when it had the hold already.
create or replace function tooz.wait(
  _lock bigint, _gate bigint, _tag integer, _shared boolean, _slice integer, _again boolean
) returns void language plpgsql volatile as $$
declare
  _hold bigint;
  _number bigint;
begin
  -- Says of those that wait how they want it.
  if _shared then perform pg_try_advisory_lock_shared(_tag, 0); end if;
  perform pg_advisory_lock(_gate);
  perform set_config('lock_timeout', _slice::text, true);
  loop
    _number := tooz.number_of(_lock);
    _hold := tooz.hold(_lock, _number);
    if _again and exists (
      select from tooz.advisory a where a.pid = pg_backend_pid() and a.key = _hold and not a.is_pair and a.granted
    ) then
      perform case when _shared then pg_advisory_unlock_shared(_hold) else pg_advisory_unlock(_hold) end;
    end if;
    if _shared then
      perform pg_advisory_lock_shared(_hold);
      perform pg_advisory_unlock_shared(_hold);
    else
      perform pg_advisory_lock(_hold);
      perform pg_advisory_unlock(_hold);
    end if;
    exit when _number = tooz.number_of(_lock);
  end loop;
end $$;

-- Holders, then waiters in their order, which have no token. Who holds an election leads once its value can be read.
create or replace function tooz.entries(_lock bigint, _gate bigint, _tag integer, _leads boolean)
returns table (pid integer, member bytea, shared boolean, token bigint, since double precision, value bytea)
language plpgsql volatile as $$
#variable_conflict use_column
declare
  _hold bigint := tooz.hold(_lock, tooz.number_of(_lock));
  _mark bigint := _tag::bigint << 32;
  _top bigint := (select last_value + 1000000 from tooz.fence);
begin
  return query
  with a as materialized (select * from tooz.advisory),
  holder as (
    select a.pid, a.shared, t.token, c.member, c.session
    from a left join tooz.connection c on c.pid = a.pid
    -- Of the token only the lower half is known; it is not much greater than the last that was given a moment ago.
    left join lateral (
      select _top - ((_top - t.key) & 4294967295) as token from a t
      where t.pid = a.pid and t.is_pair and t.granted and t.shared and t.key >> 32 = _tag
    ) t on true
    where a.key = _hold and not a.is_pair and a.granted and not coalesce(c.waits, false)
  ),
  waiter as (
    select a.pid, a.granted, a.waitstart, c.member, c.session,
      exists (select from a h where h.pid = a.pid and not h.is_pair and h.key = _hold) as at_hold,
      exists (select from a h where h.pid = a.pid and h.is_pair and h.shared and h.key = _mark) as shared
    from a join tooz.connection c on c.pid = a.pid
    where a.key = _gate and not a.is_pair and not a.shared
  )
  select h.pid, h.member, h.shared, coalesce(h.token, 0), extract(epoch from l.since)::double precision * 1000, l.value
  from holder h left join tooz.leader l on l.lock = _lock and l.token = h.token
  where not _leads or l.lock is not null
  union all
  (select w.pid, w.member, w.shared, null, null, null from waiter w
  -- The hold of a head that waits no more is on its way to its session, or there already.
  where not (w.granted and not w.at_hold and exists (select from holder h where h.session = w.session))
  order by w.granted desc, w.waitstart nulls last);
end $$;

-- Moves the lock away from its holders, tells them, and sends who is next to the new one. Breaks are made one after the
-- other, each in two steps: what is written in the first counts from the second on, which all see at the same moment.
create or replace procedure tooz.break(_lock bigint, _gate bigint, inout _was_held boolean) language plpgsql as $$
declare
  _number bigint;
  _hold bigint;
  _head integer;
  _waits boolean;
begin
  perform pg_advisory_lock(8390330741283745283);
  _number := tooz.number_of(_lock);
  _hold := tooz.hold(_lock, _number);
  _was_held := exists (
    select from tooz.advisory a left join tooz.connection c on c.pid = a.pid
    where a.key = _hold and not a.is_pair and a.granted and not coalesce(c.waits, false)
  );
  if _was_held then
    insert into tooz.generation as g (lock, number, counts_from)
      values (_lock, _number + 1, coalesce(pg_sequence_last_value('tooz.breaks'), 0) + 1)
      on conflict (lock) do update set number = excluded.number, counts_from = excluded.counts_from;
    commit;
    perform nextval('tooz.breaks');
    perform pg_notify('tooz_' || c.session, 'holds') from tooz.advisory a join tooz.connection c on c.pid = a.pid
      where a.key = _hold and not a.is_pair and a.granted and not c.waits;
    -- A head that has read the old number may not wait yet, for a moment.
    for i in 1..10 loop
      select a.pid, exists (
        select from tooz.advisory h where h.pid = a.pid and h.key = _hold and not h.is_pair and not h.granted
      ) into _head, _waits
      from tooz.advisory a where a.key = _gate and not a.is_pair and a.granted and not a.shared;
      if _waits then perform pg_cancel_backend(_head); end if;
      exit when _head is null or _waits
        or exists (select from tooz.advisory h where h.pid = _head and not h.is_pair and not h.granted);
      perform pg_sleep(0.001);
    end loop;
  end if;
  perform pg_advisory_unlock(8390330741283745283);
end $$;

-- What others can read of a leader, and watch; taken back before the lock is.
create or replace function tooz.lead(
  _lock bigint, _token bigint, _session bigint, _space bytea, _value bytea, _channel text
) returns void language plpgsql volatile as $$
begin
  delete from tooz.leader l where l.lock = _lock and l.token < _token;
  insert into tooz.leader (lock, token, session, space, value) values (_lock, _token, _session, _space, _value);
  perform pg_notify(_channel, 'e' || _lock);
end $$;

create or replace function tooz.resign(_lock bigint, _token bigint, _channel text) returns void
language plpgsql volatile as $$
begin
  delete from tooz.leader l where l.lock = _lock and l.token = _token;
  perform pg_notify(_channel, 'e' || _lock);
end $$;

create or replace function tooz.proclaim(_lock bigint, _number bigint, _token bigint, _value bytea, _channel text)
returns boolean language plpgsql volatile as $$
begin
  update tooz.leader l set value = _value where l.lock = _lock and l.token = _token;
  if not found or _number <> tooz.number_of(_lock) then return false; end if;
  perform pg_notify(_channel, 'e' || _lock);
  return true;
end $$;
`;
