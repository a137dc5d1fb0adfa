-- Locks keys, each of which stands in `p_keys` once. `p_bodies` are those of a locked record without a checkpoint.
--
-- answer: 1 acquired, 2 in progress, 3 completed, 4 another fingerprint. What was found on record comes with
-- fingerprint and body, for its checksum to be compared. A key without a row was not decided, since another transaction
-- has locked its row: ask again. Of a key with several rows the last one counts: it changed in between.
--
-- Nobody is to wait for the transaction of another one's key, so they give up after 5 ms, or after `p_patience`.
CREATE FUNCTION idem.lock(
    p_keys bytea[], p_fingerprints bytea[], p_owners bytea[], p_leases bigint[], p_retentions bigint[],
    p_bodies bytea[], p_patience text DEFAULT NULL
) RETURNS TABLE (
    key bytea, answer smallint, sequence bigint, owner bytea, attempt bigint, remaining bigint, step bigint,
    completed_at bigint, expires_at bigint, fingerprint bytea, body bytea
) LANGUAGE plpgsql
SET lock_timeout = '5ms' SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := idem.now_us();
    v_released bigint;
    v_answered bigint;
    v_inserted bigint;
    v_own bigint[];
    v_over bigint[];
BEGIN
    IF p_patience IS NOT NULL THEN
        -- Until this function returns.
        PERFORM set_config('lock_timeout', p_patience, true);
    END IF;
    -- What can be answered by looking is answered so, and writes nothing, unless standbys must have what was seen.
    RETURN QUERY
    SELECT r.key, CASE WHEN r.fingerprint <> asked.fingerprint THEN 4 WHEN r.state = 3 THEN 3 ELSE 2 END::smallint,
        r.sequence, r.owner, r.attempt, r.lease_until - v_now, r.step, r.completed_at, r.expires_at, r.fingerprint,
        r.body
    FROM unnest(p_keys, p_fingerprints, p_owners) AS asked (key, fingerprint, owner)
    JOIN idem.records AS r ON r.key = asked.key
    WHERE r.expires_at > v_now AND (
        r.fingerprint <> asked.fingerprint
        OR r.state = 3
        OR r.state = 1 AND r.lease_until > v_now AND r.owner <> asked.owner
    );
    GET DIAGNOSTICS v_answered = ROW_COUNT;
    IF v_answered = cardinality(p_keys) THEN
        -- A record that is not locked may have been answered with its outcome, also one that was removed meanwhile.
        IF current_setting('synchronous_standby_names') <> '' AND cardinality(p_keys) > (
            SELECT count(*)
            FROM unnest(p_keys) AS asked (key) JOIN idem.records AS r ON r.key = asked.key WHERE r.state = 1
        ) THEN
            PERFORM idem.advance_clock(v_now);
        END IF;
        RETURN;
    END IF;
    -- Also for a lock, or an outcome, that is there already: standbys may not have it, where its commit waited no longer,
    -- and a commit that writes something waits until they have all that was written before.
    PERFORM idem.advance_clock(v_now);
    PERFORM idem.advance_fence(v_now);
    v_released := pg_sequence_last_value('idem.released');
    RETURN QUERY
    INSERT INTO idem.records AS r (sequence, attempt, expires_at, sweep_at, lease_until, retention, state, waited,
        key, owner, fingerprint, body)
    SELECT nextval('idem.fence'), 1, v_now + asked.lease + asked.retention,
        v_now + asked.retention, v_now + asked.lease, asked.retention, 1, false, asked.key, asked.owner,
        asked.fingerprint, asked.body
    FROM unnest(p_keys, p_fingerprints, p_owners, p_leases, p_retentions, p_bodies)
        AS asked (key, fingerprint, owner, lease, retention, body)
    -- One that is there may be locked by another transaction, which would be waited for.
    WHERE NOT EXISTS (SELECT FROM idem.records AS r WHERE r.key = asked.key)
    ON CONFLICT (key) DO NOTHING
    RETURNING r.key, 1::smallint, r.sequence, r.owner, r.attempt, r.lease_until - v_now, r.step, NULL::bigint,
        NULL::bigint, r.fingerprint, r.body;
    GET DIAGNOSTICS v_inserted = ROW_COUNT;
    IF v_inserted > 0 AND v_released IS DISTINCT FROM pg_sequence_last_value('idem.released') THEN
        -- Somebody may have locked one of these keys, and removed it, since it got its number here.
        RETURN QUERY
        UPDATE idem.records AS r SET sequence = nextval('idem.fence')
        FROM unnest(p_keys, p_owners) AS asked (key, owner)
        WHERE r.key = asked.key AND r.owner = asked.owner AND r.state = 1 AND r.attempt = 1 AND idem.wrote(r.xmin)
        RETURNING r.key, 1::smallint, r.sequence, r.owner, r.attempt, r.lease_until - v_now, r.step, NULL::bigint,
            NULL::bigint, r.fingerprint, r.body;
    END IF;
    IF v_answered + v_inserted = cardinality(p_keys) THEN
        RETURN;
    END IF;
    -- Locks that are there already, those that were just inserted among them; and records that may be taken over.
    SELECT coalesce(array_agg(asked.n) FILTER (WHERE r.expires_at > v_now AND r.state = 1 AND r.lease_until > v_now), '{}'),
        coalesce(array_agg(asked.n) FILTER (WHERE r.expires_at <= v_now OR r.state = 2 OR r.lease_until <= v_now), '{}')
    INTO v_own, v_over
    FROM unnest(p_keys, p_fingerprints, p_owners) WITH ORDINALITY AS asked (key, fingerprint, owner, n)
    JOIN idem.records AS r ON r.key = asked.key
    WHERE r.expires_at <= v_now OR r.fingerprint = asked.fingerprint AND (
        r.state = 2 OR r.state = 1 AND (r.lease_until <= v_now OR r.owner = asked.owner)
    );
    IF cardinality(v_own) > v_inserted THEN
        RETURN QUERY
        SELECT r.key, 1::smallint, r.sequence, r.owner, r.attempt, r.lease_until - v_now, r.step, NULL::bigint,
            NULL::bigint, r.fingerprint, r.body
        FROM unnest(p_keys, p_fingerprints, p_owners) WITH ORDINALITY AS asked (key, fingerprint, owner, n)
        JOIN idem.records AS r ON r.key = asked.key
        WHERE asked.n = ANY (v_own) AND r.state = 1 AND r.lease_until > v_now AND r.owner = asked.owner
            AND r.fingerprint = asked.fingerprint;
    END IF;
    IF v_over <> '{}' THEN
        RETURN QUERY
        WITH held AS MATERIALIZED (
            SELECT r.key
            FROM unnest(p_keys) WITH ORDINALITY AS asked (key, n) JOIN idem.records AS r ON r.key = asked.key
            WHERE asked.n = ANY (v_over)
            FOR NO KEY UPDATE OF r SKIP LOCKED
        )
        UPDATE idem.records AS r SET
            sequence = CASE
                WHEN r.expires_at > v_now AND r.state = 1 AND r.owner = asked.owner THEN r.sequence
                ELSE greatest(nextval('idem.fence'), r.sequence + 1) END,
            attempt = CASE
                WHEN r.expires_at <= v_now THEN 1
                WHEN r.state = 1 AND r.owner = asked.owner THEN r.attempt
                ELSE least(r.attempt + 1, 4294967295) END,
            expires_at = v_now + asked.lease + asked.retention,
            -- Not behind `expires_at`, also where the retention is shorter than it was.
            sweep_at = CASE WHEN r.expires_at > v_now THEN least(r.sweep_at, v_now + asked.retention)
                ELSE v_now + asked.retention END,
            lease_until = v_now + asked.lease,
            retention = asked.retention,
            completed_at = NULL,
            step = CASE WHEN r.expires_at > v_now THEN r.step END,
            state = 1,
            waited = r.expires_at > v_now AND r.waited,
            owner = asked.owner,
            fingerprint = asked.fingerprint,
            body = CASE WHEN r.expires_at > v_now THEN r.body ELSE asked.body END
        FROM held JOIN unnest(p_keys, p_fingerprints, p_owners, p_leases, p_retentions, p_bodies)
            AS asked (key, fingerprint, owner, lease, retention, body) ON asked.key = held.key
        WHERE r.key = held.key AND (
            r.expires_at <= v_now
            OR r.fingerprint = asked.fingerprint AND (r.state = 2 OR r.state = 1 AND r.lease_until <= v_now)
        )
        RETURNING r.key, 1::smallint, r.sequence, r.owner, r.attempt, r.lease_until - v_now, r.step, NULL::bigint,
            NULL::bigint, r.fingerprint, r.body;
    END IF;
END
$$;

-- As `lock`, of one key: without arrays, what a lone caller mostly wants takes less time.
CREATE FUNCTION idem.lock_one(
    p_key bytea, p_fingerprint bytea, p_owner bytea, p_lease bigint, p_retention bigint, p_body bytea,
    p_patience text DEFAULT NULL
) RETURNS TABLE (
    key bytea, answer smallint, sequence bigint, owner bytea, attempt bigint, remaining bigint, step bigint,
    completed_at bigint, expires_at bigint, fingerprint bytea, body bytea
) LANGUAGE plpgsql
SET lock_timeout = '5ms' SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := idem.now_us();
    v_released bigint;
    v_row idem.records;
BEGIN
    IF p_patience IS NOT NULL THEN
        PERFORM set_config('lock_timeout', p_patience, true);
    END IF;
    SELECT * INTO v_row FROM idem.records AS r WHERE r.key = p_key;
    IF NOT FOUND THEN
        answer := 1;
        PERFORM idem.advance_clock(v_now);
        PERFORM idem.advance_fence(v_now);
        v_released := pg_sequence_last_value('idem.released');
        INSERT INTO idem.records AS r (sequence, attempt, expires_at, sweep_at, lease_until, retention, state, waited,
            key, owner, fingerprint, body)
        VALUES (nextval('idem.fence'), 1, v_now + p_lease + p_retention, v_now + p_retention, v_now + p_lease,
            p_retention, 1, false, p_key, p_owner, p_fingerprint, p_body)
        ON CONFLICT (key) DO NOTHING
        RETURNING r.* INTO v_row;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        IF v_released IS DISTINCT FROM pg_sequence_last_value('idem.released') THEN
            -- As in `lock`.
            UPDATE idem.records AS r SET sequence = nextval('idem.fence') WHERE r.key = p_key RETURNING r.* INTO v_row;
        END IF;
    ELSIF v_row.expires_at > v_now AND v_row.fingerprint <> p_fingerprint THEN
        answer := 4;
    ELSIF v_row.expires_at > v_now AND v_row.state = 3 THEN
        answer := 3;
        IF current_setting('synchronous_standby_names') <> '' THEN
            -- As in `lock`: standbys may not have the outcome.
            PERFORM idem.advance_clock(v_now);
        END IF;
    ELSIF v_row.lease_until > v_now AND v_row.state = 1 AND v_row.owner <> p_owner THEN
        answer := 2;
    ELSE
        RETURN QUERY SELECT * FROM idem.lock(
            ARRAY[p_key], ARRAY[p_fingerprint], ARRAY[p_owner], ARRAY[p_lease], ARRAY[p_retention], ARRAY[p_body],
            p_patience
        );
        RETURN;
    END IF;
    key := v_row.key;
    sequence := v_row.sequence;
    owner := v_row.owner;
    attempt := v_row.attempt;
    remaining := v_row.lease_until - v_now;
    step := v_row.step;
    completed_at := v_row.completed_at;
    expires_at := v_row.expires_at;
    fingerprint := v_row.fingerprint;
    body := v_row.body;
    RETURN NEXT;
END
$$;

-- As `lock`, of keys one after the other, for calls of which some are known to wait for another session: each is given up
-- after 1 ms, and holds up none of the others for longer.
CREATE FUNCTION idem.lock_apart(
    p_keys bytea[], p_fingerprints bytea[], p_owners bytea[], p_leases bigint[], p_retentions bigint[],
    p_bodies bytea[]
) RETURNS TABLE (
    key bytea, answer smallint, sequence bigint, owner bytea, attempt bigint, remaining bigint, step bigint,
    completed_at bigint, expires_at bigint, fingerprint bytea, body bytea
) LANGUAGE plpgsql AS $$
BEGIN
    FOR v_n IN 1..cardinality(p_keys) LOOP
        BEGIN
            RETURN QUERY SELECT * FROM idem.lock_one(
                p_keys[v_n], p_fingerprints[v_n], p_owners[v_n], p_leases[v_n], p_retentions[v_n], p_bodies[v_n], '1ms'
            );
        EXCEPTION WHEN lock_not_available THEN
            -- No row: it was not decided.
        END;
    END LOOP;
END
$$;
