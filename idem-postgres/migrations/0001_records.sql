-- Records of idempotency keys, and the functions through which idem reads and writes them.
--
-- Times are microseconds since 1970 by the clock of this server. A byte string `key` is the digest of a scope and a
-- client's key: its first 16 bytes stand for the scope.

CREATE TABLE idem.records (
    -- Which attempt holds the record: the fencing token is this number and `owner`.
    sequence bigint NOT NULL,
    attempt bigint NOT NULL,
    -- When the record is gone: its lease and its retention are over.
    expires_at bigint NOT NULL,
    -- When to look whether it is: then or earlier. A completion leaves it as it is, so that it changes no index.
    sweep_at bigint NOT NULL,
    -- Of a locked record: when its lease ends, and how long the record outlasts it.
    lease_until bigint,
    retention bigint,
    completed_at bigint,
    -- Step of the checkpoint, as a number whose order is that of the step: the step minus 2^63.
    step bigint,
    -- 1 locked, 2 released with a checkpoint, 3 completed.
    state smallint NOT NULL,
    -- Somebody waits to be notified of the end of the lease.
    waited boolean NOT NULL,
    key bytea NOT NULL,
    owner bytea NOT NULL,
    fingerprint bytea NOT NULL,
    -- The checkpoint or the outcome, and a checksum over it, the fingerprint and the key.
    body bytea NOT NULL,
    CONSTRAINT records_pkey PRIMARY KEY (key)
) WITH (
    -- Room for the outcome on the page of the lock.
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.2,
    autovacuum_analyze_scale_factor = 0.2,
    autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE idem.records ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE idem.records ALTER COLUMN key SET STORAGE PLAIN;
CREATE INDEX records_sweep_at ON idem.records (sweep_at);

-- The highest sequence that was given out. No record has a higher one, so a key that is locked again after its record
-- was removed gets a higher sequence than before.
CREATE SEQUENCE idem.fence AS bigint MINVALUE 1 CACHE 1;
-- The latest time at which a record was written. Store time does not run back behind it.
CREATE SEQUENCE idem.clock AS bigint MINVALUE 1 CACHE 1;

-- Store time.
CREATE FUNCTION idem.now_us() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, last_value) FROM idem.clock
$$;

-- Keeps the store's clock at `p_now`, and the fence near it. Called by those that write, before they do.
CREATE FUNCTION idem.wrote(p_now bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM setval('idem.clock', p_now);
    -- Sequences grow with time, so that they rise also across a restore of the database from elsewhere.
    IF (SELECT last_value FROM idem.fence) < p_now - 1000000 AND pg_try_advisory_xact_lock(1768188275, 1) THEN
        -- Read again: whoever had the lock before has moved it.
        PERFORM setval('idem.fence', p_now) FROM idem.fence WHERE last_value < p_now;
    END IF;
END
$$;

-- Locks keys, each of which stands in `p_keys` once. `p_bodies` are those of a locked record without a checkpoint.
--
-- answer: 1 acquired, 2 in progress, 3 completed, 4 another fingerprint. What was found on record comes with
-- fingerprint and body, for its checksum to be compared. A key without a row was not decided, since another session has
-- its record in hand: ask again.
CREATE FUNCTION idem.lock(
    p_keys bytea[], p_fingerprints bytea[], p_owners bytea[], p_leases bigint[], p_retentions bigint[],
    p_bodies bytea[]
) RETURNS TABLE (
    key bytea, answer smallint, sequence bigint, owner bytea, attempt bigint, remaining bigint, step bigint,
    completed_at bigint, expires_at bigint, fingerprint bytea, body bytea
) LANGUAGE plpgsql
SET lock_timeout = '10ms' SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := idem.now_us();
    v_fresh bigint[] := '{}';
    v_over bigint[] := '{}';
    v_resent boolean := false;
    r record;
BEGIN
    -- What can be answered by looking is answered so, and writes nothing.
    FOR r IN
        SELECT asked.n, asked.key AS asked_key, asked.owner AS asked_owner,
            asked.fingerprint AS asked_fingerprint, found.*
        FROM unnest(p_keys, p_fingerprints, p_owners) WITH ORDINALITY AS asked (key, fingerprint, owner, n)
        LEFT JOIN idem.records AS found ON found.key = asked.key
    LOOP
        IF r.state IS NULL THEN
            v_fresh := v_fresh || r.n;
            CONTINUE;
        ELSIF r.expires_at <= v_now THEN
            v_over := v_over || r.n;
            CONTINUE;
        ELSIF r.fingerprint <> r.asked_fingerprint THEN
            answer := 4;
        ELSIF r.state = 3 THEN
            answer := 3;
        ELSIF r.state = 1 AND r.lease_until > v_now THEN
            answer := CASE WHEN r.owner = r.asked_owner THEN 1 ELSE 2 END;
            v_resent := v_resent OR answer = 1;
        ELSE
            v_over := v_over || r.n;
            CONTINUE;
        END IF;
        key := r.asked_key;
        sequence := r.sequence;
        owner := r.owner;
        attempt := r.attempt;
        remaining := r.lease_until - v_now;
        step := r.step;
        completed_at := r.completed_at;
        expires_at := r.expires_at;
        fingerprint := r.fingerprint;
        body := r.body;
        RETURN NEXT;
    END LOOP;
    IF v_fresh = '{}' AND v_over = '{}' AND NOT v_resent THEN
        RETURN;
    END IF;
    -- Also for a lock that is there already: its standbys may not have it, and a commit that writes something waits until
    -- they have all that was written before.
    PERFORM idem.wrote(v_now);
    IF v_fresh <> '{}' THEN
        RETURN QUERY
        INSERT INTO idem.records AS r (sequence, attempt, expires_at, sweep_at, lease_until, retention, state, waited,
            key, owner, fingerprint, body)
        SELECT nextval('idem.fence'), 1, v_now + asked.lease + asked.retention,
            v_now + asked.retention, v_now + asked.lease, asked.retention, 1, false, asked.key, asked.owner, asked.fingerprint, asked.body
        FROM unnest(p_keys, p_fingerprints, p_owners, p_leases, p_retentions, p_bodies) WITH ORDINALITY
            AS asked (key, fingerprint, owner, lease, retention, body, n)
        WHERE asked.n = ANY (v_fresh)
        ON CONFLICT (key) DO NOTHING
        RETURNING r.key, 1::smallint, r.sequence, r.owner, r.attempt, r.lease_until - v_now, r.step, NULL::bigint,
            NULL::bigint, r.fingerprint, r.body;
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
            sweep_at = CASE WHEN r.expires_at > v_now THEN r.sweep_at ELSE v_now + asked.retention END,
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

-- Why a holder's call could not be carried out, for those that `p_answered` does not name.
--
-- answer: 1 applied, 2 superseded, 3 completed, 4 released, 5 gone, 6 damaged: the fingerprint is not what the holder
-- locked. No row: another session has the record in hand.
CREATE FUNCTION idem.lost(
    p_keys bytea[], p_fingerprints bytea[], p_sequences bigint[], p_owners bytea[], p_answered bytea[], p_now bigint,
    p_completed smallint
) RETURNS TABLE (key bytea, answer smallint) LANGUAGE sql VOLATILE
SET lock_timeout = '500ms' SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
    SELECT asked.key,
        CASE
            WHEN r.key IS NULL OR r.expires_at <= p_now THEN 5
            WHEN r.sequence <> asked.sequence OR r.owner <> asked.owner THEN 2
            WHEN r.fingerprint <> asked.fingerprint THEN 6
            WHEN r.state = 3 THEN p_completed
            ELSE 4
        END::smallint
    FROM unnest(p_keys, p_fingerprints, p_sequences, p_owners) AS asked (key, fingerprint, sequence, owner)
    LEFT JOIN idem.records AS r ON r.key = asked.key
    WHERE asked.key <> ALL (p_answered)
        AND (r.state = 1 AND r.sequence = asked.sequence AND r.owner = asked.owner
            AND r.fingerprint = asked.fingerprint AND r.expires_at > p_now) IS NOT TRUE
$$;

-- Tells those who listen that the leases of these keys have ended. A notification holds less than 8,000 bytes: of more
-- keys it says that all should look.
CREATE FUNCTION idem.notify(p_keys bytea[]) RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify(
        'idem_settled',
        CASE
            WHEN cardinality(p_keys) > 120 THEN '*'
            ELSE (SELECT string_agg(encode(waited, 'base64'), ' ') FROM unnest(p_keys) AS waited)
        END
    )
$$;

-- Notes that somebody waits for the end of these leases.
CREATE FUNCTION idem.wait(p_keys bytea[]) RETURNS void LANGUAGE sql
SET lock_timeout = '500ms' SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
    WITH held AS MATERIALIZED (
        SELECT r.key FROM unnest(p_keys) AS asked (key) JOIN idem.records AS r ON r.key = asked.key
        WHERE r.state = 1 AND NOT r.waited
        FOR NO KEY UPDATE OF r SKIP LOCKED
    )
    UPDATE idem.records AS r SET waited = true FROM held WHERE r.key = held.key
$$;

-- Completes keys.
CREATE FUNCTION idem.complete(
    p_keys bytea[], p_fingerprints bytea[], p_sequences bigint[], p_owners bytea[], p_retentions bigint[],
    p_bodies bytea[]
) RETURNS TABLE (key bytea, answer smallint) LANGUAGE plpgsql
SET lock_timeout = '500ms' SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := idem.now_us();
    v_applied bytea[];
    v_waited bytea[];
BEGIN
    PERFORM idem.wrote(v_now);
    WITH held AS MATERIALIZED (
        SELECT r.key, r.waited, asked.retention, asked.body
        FROM unnest(p_keys, p_fingerprints, p_sequences, p_owners, p_retentions, p_bodies)
            AS asked (key, fingerprint, sequence, owner, retention, body)
        JOIN idem.records AS r ON r.key = asked.key
        WHERE r.state = 1 AND r.sequence = asked.sequence AND r.owner = asked.owner
            AND r.fingerprint = asked.fingerprint AND r.expires_at > v_now
        FOR NO KEY UPDATE OF r SKIP LOCKED
    ), done AS (
        UPDATE idem.records AS r SET
            state = 3,
            completed_at = v_now,
            expires_at = greatest(v_now + held.retention, r.lease_until),
            sweep_at = least(r.sweep_at, greatest(v_now + held.retention, r.lease_until)),
            lease_until = NULL,
            retention = NULL,
            step = NULL,
            waited = false,
            body = held.body
        FROM held
        WHERE r.key = held.key
        RETURNING r.key, held.waited
    )
    SELECT coalesce(array_agg(done.key), '{}'), array_agg(done.key) FILTER (WHERE done.waited)
    INTO v_applied, v_waited FROM done;
    IF v_waited IS NOT NULL THEN
        PERFORM idem.notify(v_waited);
    END IF;
    RETURN QUERY SELECT applied, 1::smallint FROM unnest(v_applied) AS applied;
    IF cardinality(v_applied) < cardinality(p_keys) THEN
        RETURN QUERY SELECT * FROM idem.lost(p_keys, p_fingerprints, p_sequences, p_owners, v_applied, v_now, 1::smallint);
    END IF;
END
$$;

-- Renews leases, and with a step saves checkpoints: of those a step that is not higher than that on record changes
-- nothing. `changed` says whether the record was written.
CREATE FUNCTION idem.renew(
    p_keys bytea[], p_fingerprints bytea[], p_sequences bigint[], p_owners bytea[], p_leases bigint[], p_steps bigint[],
    p_bodies bytea[]
) RETURNS TABLE (key bytea, answer smallint, changed boolean) LANGUAGE plpgsql
SET lock_timeout = '500ms' SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := idem.now_us();
    v_applied bytea[];
    v_changed boolean[];
BEGIN
    PERFORM idem.wrote(v_now);
    WITH held AS MATERIALIZED (
        SELECT r.key, asked.lease, asked.step, asked.body, (asked.step > r.step OR asked.step IS NULL OR r.step IS NULL) AS changes
        FROM unnest(p_keys, p_fingerprints, p_sequences, p_owners, p_leases, p_steps, p_bodies)
            AS asked (key, fingerprint, sequence, owner, lease, step, body)
        JOIN idem.records AS r ON r.key = asked.key
        WHERE r.state = 1 AND r.sequence = asked.sequence AND r.owner = asked.owner
            AND r.fingerprint = asked.fingerprint AND r.expires_at > v_now
        FOR NO KEY UPDATE OF r SKIP LOCKED
    ), done AS (
        UPDATE idem.records AS r SET
            lease_until = greatest(r.lease_until, v_now + held.lease),
            expires_at = greatest(r.lease_until, v_now + held.lease) + r.retention,
            step = coalesce(held.step, r.step),
            body = CASE WHEN held.step IS NULL THEN r.body ELSE held.body END
        FROM held
        WHERE r.key = held.key AND held.changes
    )
    SELECT coalesce(array_agg(held.key), '{}'), coalesce(array_agg(held.changes), '{}')
    INTO v_applied, v_changed FROM held;
    RETURN QUERY
    SELECT applied.key, 1::smallint, applied.changed FROM unnest(v_applied, v_changed) AS applied (key, changed);
    IF cardinality(v_applied) < cardinality(p_keys) THEN
        RETURN QUERY
        SELECT lost.*, false FROM idem.lost(p_keys, p_fingerprints, p_sequences, p_owners, v_applied, v_now, 3::smallint);
    END IF;
END
$$;

-- Releases keys: removes their records, or, of those with a checkpoint, clears the holder.
CREATE FUNCTION idem.release(p_keys bytea[], p_fingerprints bytea[], p_sequences bigint[], p_owners bytea[])
RETURNS TABLE (key bytea, answer smallint) LANGUAGE plpgsql
SET lock_timeout = '500ms' SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := idem.now_us();
    v_applied bytea[];
    v_waited bytea[];
BEGIN
    PERFORM idem.wrote(v_now);
    WITH held AS MATERIALIZED (
        SELECT r.key, r.waited, r.step
        FROM unnest(p_keys, p_fingerprints, p_sequences, p_owners) AS asked (key, fingerprint, sequence, owner)
        JOIN idem.records AS r ON r.key = asked.key
        WHERE r.state = 1 AND r.sequence = asked.sequence AND r.owner = asked.owner
            AND r.fingerprint = asked.fingerprint AND r.expires_at > v_now
        FOR UPDATE OF r SKIP LOCKED
    ), removed AS (
        DELETE FROM idem.records AS r USING held WHERE r.key = held.key AND held.step IS NULL
    ), kept AS (
        UPDATE idem.records AS r SET
            state = 2, lease_until = v_now, expires_at = v_now + r.retention,
            sweep_at = least(r.sweep_at, v_now + r.retention), waited = false
        FROM held WHERE r.key = held.key AND held.step IS NOT NULL
    )
    SELECT coalesce(array_agg(held.key), '{}'), array_agg(held.key) FILTER (WHERE held.waited)
    INTO v_applied, v_waited FROM held;
    IF v_waited IS NOT NULL THEN
        PERFORM idem.notify(v_waited);
    END IF;
    RETURN QUERY SELECT applied, 1::smallint FROM unnest(v_applied) AS applied;
    IF cardinality(v_applied) < cardinality(p_keys) THEN
        RETURN QUERY SELECT * FROM idem.lost(p_keys, p_fingerprints, p_sequences, p_owners, v_applied, v_now, 3::smallint);
    END IF;
END
$$;

-- What is on record for keys, and the time at which it was looked at. Of a key that has none there is no row.
CREATE FUNCTION idem.get(p_keys bytea[]) RETURNS TABLE (
    key bytea, now bigint, state smallint, fingerprint bytea, sequence bigint, owner bytea, attempt bigint,
    lease_until bigint, retention bigint, completed_at bigint, expires_at bigint, step bigint, body bytea
) LANGUAGE sql VOLATILE
SET lock_timeout = '500ms' SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
    SELECT r.key, looked.at, r.state, r.fingerprint, r.sequence, r.owner, r.attempt, r.lease_until, r.retention,
        r.completed_at, r.expires_at, r.step, r.body
    FROM (SELECT idem.now_us()) AS looked (at), unnest(p_keys) AS asked (key) JOIN idem.records AS r ON r.key = asked.key
    WHERE r.expires_at > looked.at
$$;

-- Removes a record, with `p_force` also one whose lease is live. Null: another session has the record in hand.
CREATE FUNCTION idem.remove(p_key bytea, p_force boolean) RETURNS boolean LANGUAGE plpgsql
SET lock_timeout = '500ms' SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
    v_now bigint := idem.now_us();
    v_waited boolean;
BEGIN
    DELETE FROM idem.records AS r WHERE r.key = p_key AND r.expires_at > v_now
        AND (p_force OR r.state <> 1 OR r.lease_until <= v_now)
    RETURNING r.waited INTO v_waited;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM idem.wrote(v_now);
    IF v_waited THEN
        PERFORM idem.notify(ARRAY[p_key]);
    END IF;
    RETURN true;
END
$$;

-- Removes at most `p_budget` expired records, and says whether there are more. Records that somebody has in hand are
-- passed over.
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
    more := v_looked = p_budget AND EXISTS (SELECT FROM idem.records AS r WHERE r.sweep_at <= v_now LIMIT 1);
    RETURN NEXT;
END
$$;

-- As `expire`, unless another session does it at this moment: for those who sweep every now and then.
CREATE FUNCTION idem.sweep(p_budget bigint) RETURNS TABLE (removed bigint, more boolean) LANGUAGE plpgsql AS $$
BEGIN
    IF pg_try_advisory_xact_lock(1768188275, 2) THEN
        RETURN QUERY SELECT * FROM idem.expire(p_budget);
    ELSE
        removed := 0;
        more := false;
        RETURN NEXT;
    END IF;
END
$$;
