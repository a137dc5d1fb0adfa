-- Notes that somebody waits for the end of these leases.
CREATE FUNCTION idem.note_waiters(p_keys bytea[]) RETURNS void LANGUAGE plpgsql
SET lock_timeout = '500ms' SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    WITH held AS MATERIALIZED (
        SELECT r.key FROM unnest(p_keys) AS asked (key) JOIN idem.records AS r ON r.key = asked.key
        WHERE r.state = 1 AND NOT r.waited
        FOR NO KEY UPDATE OF r SKIP LOCKED
    )
    UPDATE idem.records AS r SET waited = true FROM held WHERE r.key = held.key;
END
$$;

-- What is on record for keys, and the time at which it was looked at. Of a key that has none there is no row.
CREATE FUNCTION idem.get(p_keys bytea[]) RETURNS TABLE (
    key bytea, now bigint, state smallint, fingerprint bytea, sequence bigint, owner bytea, attempt bigint,
    lease_until bigint, retention bigint, completed_at bigint, expires_at bigint, step bigint, body bytea
) LANGUAGE plpgsql
SET lock_timeout = '500ms' SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := idem.now_us();
BEGIN
    RETURN QUERY
    SELECT r.key, v_now, r.state, r.fingerprint, r.sequence, r.owner, r.attempt, r.lease_until, r.retention,
        r.completed_at, r.expires_at, r.step, r.body
    FROM unnest(p_keys) AS asked (key) JOIN idem.records AS r ON r.key = asked.key
    WHERE r.expires_at > v_now;
END
$$;

-- Removes a record, with `p_force` also one whose lease is live. Waits for whoever holds the row lock, and fails after
-- 500 ms.
CREATE FUNCTION idem.remove(p_key bytea, p_force boolean) RETURNS boolean LANGUAGE plpgsql
SET lock_timeout = '500ms' SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
    -- Also where there is nothing to remove: standbys may not have an earlier removal, and a commit that writes something
    -- waits until they have.
    v_now bigint := idem.advance_clock(idem.now_us());
    v_waited boolean;
BEGIN
    DELETE FROM idem.records AS r WHERE r.key = p_key AND r.expires_at > v_now
        AND (p_force OR r.state <> 1 OR r.lease_until <= v_now)
    RETURNING r.waited INTO v_waited;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM nextval('idem.released');
    IF v_waited THEN
        PERFORM idem.notify(ARRAY[p_key]);
    END IF;
    RETURN true;
END
$$;

-- Removes at most `p_budget` expired records, and says whether there are more. Records whose row is locked are passed over.
CREATE FUNCTION idem.expire(p_budget bigint) RETURNS TABLE (removed bigint, more boolean) LANGUAGE plpgsql
SET lock_timeout = '500ms' SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := idem.now_us();
    v_looked bigint;
BEGIN
    WITH due AS MATERIALIZED (
        SELECT r.key, r.expires_at FROM idem.records AS r WHERE r.sweep_at <= v_now
        ORDER BY r.sweep_at LIMIT p_budget FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM idem.records AS r USING due WHERE r.key = due.key AND due.expires_at <= v_now RETURNING 1
    ), later AS (
        UPDATE idem.records AS r SET sweep_at = r.expires_at FROM due WHERE r.key = due.key AND due.expires_at > v_now
    )
    SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM due) INTO removed, v_looked;
    IF removed > 0 THEN
        PERFORM nextval('idem.released');
    END IF;
    more := v_looked = p_budget AND EXISTS (SELECT FROM idem.records AS r WHERE r.sweep_at <= v_now LIMIT 1);
    RETURN NEXT;
END
$$;

-- As `expire`, unless another session sweeps at this moment: for the sweepers of many processes.
CREATE FUNCTION idem.sweep(p_budget bigint) RETURNS TABLE (removed bigint, more boolean) LANGUAGE plpgsql AS $$
BEGIN
    IF idem.try_lock('idem.records') THEN
        RETURN QUERY SELECT * FROM idem.expire(p_budget);
    ELSE
        removed := 0;
        more := false;
        RETURN NEXT;
    END IF;
END
$$;
