-- Why a holder's call could not be carried out, for those that `p_answered` does not name.
--
-- answer: 1 applied, 2 superseded, 3 completed, 4 released, 5 gone, 6 damaged: the fingerprint is not what the holder
-- locked. No row: another transaction holds the row lock.
CREATE FUNCTION idem.why_lost(
    p_keys bytea[], p_fingerprints bytea[], p_sequences bigint[], p_owners bytea[], p_answered bytea[], p_now bigint,
    p_completed smallint
) RETURNS TABLE (key bytea, answer smallint) LANGUAGE plpgsql
SET lock_timeout = '500ms' SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
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
            AND r.fingerprint = asked.fingerprint AND r.expires_at > p_now) IS NOT TRUE;
END
$$;

-- Tells those who listen that the leases of these keys have ended. A notification holds less than 8,000 bytes: of more
-- keys it says that all should look.
--
-- No transaction can commit that notifies while the server's queue of notifications is full, as it is once somebody listens
-- and does not end a transaction. So nothing is told when it fills: those who wait look every now and then.
CREATE FUNCTION idem.notify(p_keys bytea[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF pg_notification_queue_usage() > 0.5 THEN
        RETURN;
    END IF;
    PERFORM pg_notify(
        'idem_settled',
        CASE
            WHEN cardinality(p_keys) > 120 THEN '*'
            ELSE (SELECT string_agg(encode(waited, 'base64'), ' ') FROM unnest(p_keys) AS waited)
        END
    );
END
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
    v_now bigint := idem.advance_clock(idem.now_us());
    v_applied bytea[];
    v_waited bytea[];
BEGIN
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
        RETURN QUERY SELECT *
            FROM idem.why_lost(p_keys, p_fingerprints, p_sequences, p_owners, v_applied, v_now, 1::smallint);
    END IF;
END
$$;

-- As `complete`, of one key: without arrays it takes half the time. Null: ask again.
--
-- `p_in_transaction`: in a transaction of the application. It waits for whoever holds the row lock, and fails the
-- transaction where the lease is lost. Its answer is 1, or 7 in a subtransaction: behind a savepoint, whose release is not
-- the commit of the whole transaction. Where the transaction itself has completed the key before, that stands, and is
-- answered again.
CREATE FUNCTION idem.complete_one(
    p_key bytea, p_fingerprint bytea, p_sequence bigint, p_owner bytea, p_retention bigint, p_body bytea,
    p_in_transaction boolean DEFAULT false
) RETURNS smallint LANGUAGE plpgsql
SET lock_timeout = '500ms' SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
    v_now bigint := idem.advance_clock(idem.now_us());
    v_answer smallint := 1;
    v_waited boolean;
BEGIN
    IF p_in_transaction THEN
        PERFORM set_config('lock_timeout', '2s', true);
    ELSE
        PERFORM FROM idem.records AS r WHERE r.key = p_key FOR NO KEY UPDATE SKIP LOCKED;
    END IF;
    IF p_in_transaction OR FOUND THEN
        UPDATE idem.records AS r SET
            state = 3,
            completed_at = v_now,
            expires_at = greatest(v_now + p_retention, r.lease_until),
            sweep_at = least(r.sweep_at, greatest(v_now + p_retention, r.lease_until)),
            lease_until = NULL,
            retention = NULL,
            step = NULL,
            body = p_body
            -- Unlike in `complete`, `waited` stays as it was, since it is returned. Of a completed record it costs `remove` a
            -- needless notification at most.
        WHERE r.key = p_key AND r.state = 1 AND r.sequence = p_sequence AND r.owner = p_owner
            AND r.fingerprint = p_fingerprint AND r.expires_at > v_now
        -- A row that is written behind a savepoint has the number of its subtransaction as `xmin`.
        RETURNING CASE WHEN r.xmin <> pg_current_xact_id()::xid THEN 7 ELSE 1 END, r.waited INTO v_answer, v_waited;
    END IF;
    IF FOUND THEN
        IF v_waited THEN
            PERFORM idem.notify(ARRAY[p_key]);
        END IF;
        RETURN v_answer;
    END IF;
    SELECT lost.answer INTO v_answer
    FROM idem.why_lost(
        ARRAY[p_key], ARRAY[p_fingerprint], ARRAY[p_sequence], ARRAY[p_owner], '{}', v_now,
        CASE WHEN p_in_transaction THEN 3 ELSE 1 END::smallint
    ) AS lost;
    IF p_in_transaction THEN
        IF v_answer = 3 THEN
            -- Written once more, since that tells a subtransaction.
            UPDATE idem.records AS r SET state = 3 WHERE r.key = p_key AND idem.wrote(r.xmin)
            RETURNING CASE WHEN r.xmin <> pg_current_xact_id()::xid THEN 7 ELSE 1 END INTO v_answer;
            IF FOUND THEN
                RETURN v_answer;
            END IF;
            v_answer := 3;
        END IF;
        PERFORM idem.fail_transaction(p_key, p_sequence, v_answer);
    END IF;
    RETURN v_answer;
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
    v_now bigint := idem.advance_clock(idem.now_us());
    v_applied bytea[];
    v_changed boolean[];
BEGIN
    WITH held AS MATERIALIZED (
        SELECT r.key, asked.lease, asked.step, asked.body,
            (asked.step > r.step OR asked.step IS NULL OR r.step IS NULL) AS changes
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
        SELECT why_lost.*, false
            FROM idem.why_lost(p_keys, p_fingerprints, p_sequences, p_owners, v_applied, v_now, 3::smallint);
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
    v_now bigint := idem.advance_clock(idem.now_us());
    v_applied bytea[];
    v_waited bytea[];
BEGIN
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
    PERFORM nextval('idem.released');
    IF v_waited IS NOT NULL THEN
        PERFORM idem.notify(v_waited);
    END IF;
    RETURN QUERY SELECT applied, 1::smallint FROM unnest(v_applied) AS applied;
    IF cardinality(v_applied) < cardinality(p_keys) THEN
        RETURN QUERY SELECT *
            FROM idem.why_lost(p_keys, p_fingerprints, p_sequences, p_owners, v_applied, v_now, 3::smallint);
    END IF;
END
$$;
