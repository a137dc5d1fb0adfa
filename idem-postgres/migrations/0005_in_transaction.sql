-- Calls in a transaction of the application.
--
-- They wait for whoever has the record in hand, since the answer is needed now. A call that has no answer raises an error,
-- so that nothing of the transaction is committed.

-- Completes a key. Says whether it was done behind a savepoint, so that a commit may not be the whole transaction's.
--
-- Errors of a state of its own: ID001, the lease is lost, with the reason as detail; ID002, the transaction's snapshot is
-- too old to tell.
CREATE FUNCTION idem.complete_in(
    p_key bytea, p_fingerprint bytea, p_sequence bigint, p_owner bytea, p_retention bigint, p_body bytea
) RETURNS boolean LANGUAGE plpgsql
SET lock_timeout = '2s' SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
    v_now bigint := idem.now_us();
    v_nested boolean;
    v_waited boolean;
    v_answer smallint;
BEGIN
    UPDATE idem.records AS r SET
        state = 3,
        completed_at = v_now,
        expires_at = greatest(v_now + p_retention, r.lease_until),
        sweep_at = least(r.sweep_at, greatest(v_now + p_retention, r.lease_until)),
        lease_until = NULL,
        retention = NULL,
        step = NULL,
        body = p_body
    WHERE r.key = p_key AND r.state = 1 AND r.sequence = p_sequence AND r.owner = p_owner
        AND r.fingerprint = p_fingerprint AND r.expires_at > v_now
    -- A row that is written behind a savepoint bears the number of the savepoint's transaction.
    RETURNING r.xmin <> pg_current_xact_id()::xid, r.waited INTO v_nested, v_waited;
    IF FOUND THEN
        -- Not `advance_clock`, which would hold its advisory lock until the application's transaction ends.
        PERFORM setval('idem.clock', greatest(v_now, c.last_value)) FROM idem.clock AS c;
        IF v_waited THEN
            PERFORM idem.notify(ARRAY[p_key]);
        END IF;
        RETURN v_nested;
    END IF;
    SELECT lost.answer INTO v_answer
    FROM idem.why_lost(
        ARRAY[p_key], ARRAY[p_fingerprint], ARRAY[p_sequence], ARRAY[p_owner], '{}', v_now, 3::smallint
    ) AS lost;
    -- In a snapshot the record may be an older one than that of the lease, or lack a renewal.
    IF v_answer IS NULL OR current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
        AND v_answer NOT IN (3, 4, 6)
        AND NOT EXISTS (SELECT FROM idem.records AS r WHERE r.key = p_key AND r.sequence > p_sequence)
    THEN
        RAISE EXCEPTION USING
            ERRCODE = 'ID002',
            MESSAGE = 'the transaction''s snapshot may be older than the lease of the key',
            HINT = 'Use READ COMMITTED, or begin the transaction once the key is locked, and run it again.';
    ELSIF v_answer = 5 AND row_security_active('idem.records') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = 'row-level security may hide the record of the key from this role';
    ELSIF v_answer = 6 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'data_corrupted',
            MESSAGE = 'the record''s fingerprint is not what was locked';
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'ID001',
        MESSAGE = 'the lease of the key is lost',
        DETAIL = 'idem: '
            || CASE v_answer WHEN 2 THEN 'superseded' WHEN 3 THEN 'completed' WHEN 4 THEN 'released' ELSE 'gone' END;
END
$$;

-- Locks one key. Those who want the same key wait until the transaction ends.
CREATE FUNCTION idem.lock_in(
    p_key bytea, p_fingerprint bytea, p_owner bytea, p_lease bigint, p_retention bigint, p_body bytea
) RETURNS TABLE (
    key bytea, answer smallint, sequence bigint, owner bytea, attempt bigint, remaining bigint, step bigint,
    completed_at bigint, expires_at bigint, fingerprint bytea, body bytea
) LANGUAGE plpgsql
SET lock_timeout = '2s' SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
    FOR v_try IN 1..100 LOOP
        RETURN QUERY SELECT * FROM idem.lock(
            ARRAY[p_key], ARRAY[p_fingerprint], ARRAY[p_owner], ARRAY[p_lease], ARRAY[p_retention], ARRAY[p_body],
            current_setting('lock_timeout')
        );
        IF FOUND THEN
            RETURN;
        END IF;
        -- Another transaction has changed the record, or still has it in hand.
        PERFORM FROM idem.records AS r WHERE r.key = p_key FOR NO KEY UPDATE;
    END LOOP;
    RAISE EXCEPTION USING
        ERRCODE = 'lock_not_available',
        MESSAGE = 'others change the record of the key all the time';
END
$$;
