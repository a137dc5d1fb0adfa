-- Calls in a transaction of the application; its completions are by `complete_one`.
--
-- They wait for whoever holds the row lock, since the answer is needed now. A call that has no answer raises an error, so
-- that nothing of the transaction is committed.

-- Fails a transaction in which a key could not be completed, for the reason `p_answer`; null: it is not known.
--
-- Errors of a state of its own: ID001, the lease is lost, with the reason as detail; ID002, the transaction's snapshot is
-- too old to tell.
CREATE FUNCTION idem.fail_transaction(p_key bytea, p_sequence bigint, p_answer smallint) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    -- In a snapshot the record may be an older one than that of the lease, or lack a renewal.
    IF p_answer IS NULL OR current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
        AND p_answer NOT IN (3, 4, 6)
        AND NOT EXISTS (SELECT FROM idem.records AS r WHERE r.key = p_key AND r.sequence > p_sequence)
    THEN
        RAISE EXCEPTION USING
            ERRCODE = 'ID002',
            MESSAGE = 'the transaction''s snapshot may be older than the lease of the key',
            HINT = 'Use READ COMMITTED, or begin the transaction once the key is locked, and run it again.';
    ELSIF p_answer = 5 AND row_security_active('idem.records') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = 'row-level security may hide the record of the key from this role';
    ELSIF p_answer = 6 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'data_corrupted',
            MESSAGE = 'the record''s fingerprint is not what was locked';
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'ID001',
        MESSAGE = 'the lease of the key is lost',
        DETAIL = 'idem: '
            || CASE p_answer WHEN 2 THEN 'superseded' WHEN 3 THEN 'completed' WHEN 4 THEN 'released' ELSE 'gone' END;
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
DECLARE
    v_found boolean := false;
BEGIN
    FOR v_try IN 1..100 LOOP
        -- The caller's own lock is locked before it is answered, so that nobody else gets it, and an error where it has changed
        -- since the transaction's snapshot. Where it is not the caller's any more, the row lock ends with the subtransaction:
        -- whoever holds the lease then must not meet it.
        IF EXISTS (
            SELECT FROM idem.records AS r
            WHERE r.key = p_key AND r.state = 1 AND r.owner = p_owner AND r.fingerprint = p_fingerprint
        ) THEN
            BEGIN
                PERFORM FROM idem.records AS r
                WHERE r.key = p_key AND r.state = 1 AND r.owner = p_owner AND r.fingerprint = p_fingerprint
                FOR NO KEY UPDATE;
                IF NOT FOUND THEN
                    RAISE EXCEPTION USING ERRCODE = 'ID003';
                END IF;
            EXCEPTION WHEN SQLSTATE 'ID003' THEN
                -- It was waited for.
            END;
        END IF;
        -- One row, the last one.
        FOR key, answer, sequence, owner, attempt, remaining, step, completed_at, expires_at, fingerprint, body IN
            SELECT * FROM idem.lock_one(
                p_key, p_fingerprint, p_owner, p_lease, p_retention, p_body, current_setting('lock_timeout')
            )
        LOOP
            v_found := true;
        END LOOP;
        IF v_found THEN
            RETURN NEXT;
            RETURN;
        END IF;
        -- Another transaction has changed the record, or still holds its row lock.
        BEGIN
            PERFORM FROM idem.records AS r WHERE r.key = p_key FOR NO KEY UPDATE;
            RAISE EXCEPTION USING ERRCODE = 'ID003';
        EXCEPTION WHEN SQLSTATE 'ID003' THEN
            -- It was waited for.
        END;
    END LOOP;
    RAISE EXCEPTION USING
        ERRCODE = 'lock_not_available',
        MESSAGE = 'others change the record of the key all the time';
END
$$;
