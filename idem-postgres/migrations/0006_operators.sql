-- Lists at most `p_limit` records behind the key `p_after`, up to `p_last`, in the order of their keys; without bodies, of
-- which the first two bytes tell what they are. Those that are not wanted are left out, except the last one, so that the
-- caller sees how far this got: `number` of `looked` records.
CREATE FUNCTION idem.scan(
    p_after bytea, p_last bytea, p_limit bigint, p_completed boolean, p_unfinished boolean
) RETURNS TABLE (
    key bytea, now bigint, state smallint, fingerprint bytea, sequence bigint, owner bytea, attempt bigint,
    lease_until bigint, retention bigint, completed_at bigint, expires_at bigint, step bigint, kind bytea, bytes bigint,
    number bigint, looked bigint
) LANGUAGE plpgsql
SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := idem.now_us();
BEGIN
    RETURN QUERY
    WITH part AS MATERIALIZED (
        SELECT r.key, r.state, r.fingerprint, r.sequence, r.owner, r.attempt, r.lease_until, r.retention, r.completed_at,
            r.expires_at, r.step, substring(r.body FOR 2) AS kind,
            (octet_length(r.key) + octet_length(r.body) + 136)::bigint AS bytes
        FROM idem.records AS r WHERE r.key > p_after AND r.key <= p_last ORDER BY r.key LIMIT p_limit
    ), numbered AS (
        SELECT part.*, row_number() OVER (ORDER BY part.key) AS number, count(*) OVER () AS looked FROM part
    )
    SELECT n.key, v_now, n.state, n.fingerprint, n.sequence, n.owner, n.attempt, n.lease_until, n.retention,
        n.completed_at, n.expires_at, n.step, n.kind, n.bytes, n.number, n.looked
    FROM numbered AS n
    WHERE n.number = n.looked OR CASE n.state WHEN 3 THEN p_completed ELSE p_unfinished END;
END
$$;

-- Removes records behind the key `p_after`, up to `p_last`, of which it looks at `p_limit`, or fewer when they are large;
-- `last` is the key that was looked at last, or null once there are no more. Expired ones go too, and are not counted. Without
-- `p_force` records stay whose lease is live, or whose row a transaction has locked, and are counted as held. With `p_force`
-- it waits for those transactions, one after the other, and fails when one of them takes 500 ms.
CREATE FUNCTION idem.erase(p_after bytea, p_last bytea, p_force boolean, p_limit bigint)
RETURNS TABLE (removed bigint, held bigint, last bytea) LANGUAGE plpgsql
SET lock_timeout = '500ms' SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    -- Also where there is nothing to remove, as in `remove`.
    v_now bigint := idem.advance_clock(idem.now_us());
    v_keys bytea[];
    v_found bigint;
    v_gone bigint;
    v_waited bytea[];
BEGIN
    -- Ends with the record that reaches 16 MiB.
    SELECT array_agg(sized.key ORDER BY sized.key) FILTER (WHERE sized.before < 16777216), count(*) INTO v_keys, v_found FROM (
        SELECT part.key, sum(part.size) OVER (ORDER BY part.key) - part.size AS before FROM (
            SELECT r.key, octet_length(r.body) AS size FROM idem.records AS r
            WHERE r.key > p_after AND r.key <= p_last ORDER BY r.key LIMIT p_limit
        ) AS part
    ) AS sized;
    IF p_force THEN
        PERFORM FROM unnest(v_keys) AS part (key) JOIN idem.records AS r ON r.key = part.key ORDER BY part.key FOR UPDATE OF r;
    END IF;
    WITH free AS MATERIALIZED (
        SELECT r.key, r.expires_at > v_now AS counts FROM unnest(v_keys) AS part (key) JOIN idem.records AS r ON r.key = part.key
        WHERE p_force OR r.state <> 1 OR r.lease_until <= v_now OR r.expires_at <= v_now
        FOR UPDATE OF r SKIP LOCKED
    ), gone AS (
        DELETE FROM idem.records AS r USING free WHERE r.key = free.key RETURNING r.key, r.waited, free.counts
    )
    SELECT count(*), count(*) FILTER (WHERE gone.counts), array_agg(gone.key) FILTER (WHERE gone.waited)
    INTO v_gone, removed, v_waited FROM gone;
    SELECT count(*) INTO held FROM unnest(v_keys) AS part (key) JOIN idem.records AS r ON r.key = part.key
    WHERE r.expires_at > v_now;
    IF v_gone > 0 THEN
        PERFORM nextval('idem.released');
    END IF;
    IF v_waited IS NOT NULL THEN
        PERFORM idem.notify(v_waited);
    END IF;
    IF v_found = p_limit OR v_found > cardinality(v_keys) THEN
        last := v_keys[cardinality(v_keys)];
    END IF;
    RETURN NEXT;
END
$$;
