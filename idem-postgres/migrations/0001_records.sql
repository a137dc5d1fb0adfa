-- Records of idempotency keys, and the clock by which they live.
--
-- Times are microseconds since 1970 by the clock of this server. A byte string `key` is the digest of a scope and a
-- client's key: its first 16 bytes stand for the scope.

CREATE TABLE idem.records (
    -- Which attempt holds the record: the fencing token is this number and `owner`.
    sequence bigint NOT NULL,
    attempt bigint NOT NULL,
    -- When the record is gone: its lease and its retention are over.
    expires_at bigint NOT NULL,
    -- When the sweeper looks at the record: at `expires_at` or earlier. A completion leaves it as it is where it can, so
    -- that it changes no index.
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
    -- A lock whose outcome has room on the same page is completed without writing to an index. More room than this doubles the
    -- table.
    fillfactor = 90,
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
-- Counts the statements that have removed records, each behind its removal and before its commit. A lock that has taken a
-- number and comes late, behind another lock of the key and its removal, sees by it that it needs a higher one.
CREATE SEQUENCE idem.released AS bigint MINVALUE 1 CACHE 1;
-- The latest time at which a record was written. Store time does not run back behind it, except by the moment between the
-- reading and the writing of it in two sessions at once.
CREATE SEQUENCE idem.clock AS bigint MINVALUE 1 CACHE 1;

-- Store time. Like all functions here it is written in PL/pgSQL, which keeps its plans: before version 18 a function in
-- SQL is planned anew in each call, which takes longer than the call.
--
-- A standby has no store time, so that it answers nothing, also no call that only looks: it may lack what its primary has
-- acknowledged. The error is that of a write.
CREATE FUNCTION idem.now_us() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE read_only_sql_transaction USING MESSAGE = 'this server is a standby';
    END IF;
    -- Unlike a query of the sequence this function needs no plan.
    RETURN greatest(
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, pg_sequence_last_value('idem.clock')
    );
END
$$;

-- Takes an advisory lock until the transaction ends, or says that another session has it. The lock is "idem" in ASCII and
-- the number of a relation of this schema, so that stores in other schemas have locks of their own.
CREATE FUNCTION idem.try_lock(p_of regclass) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN pg_try_advisory_xact_lock(1768187245, (p_of::oid::bigint - 2147483648)::integer);
END
$$;

-- Moves the store's clock on to `p_now`, unless it is later already, and gives its time. Called by those that write, before
-- they do.
CREATE FUNCTION idem.advance_clock(p_now bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN setval('idem.clock', greatest(p_now, pg_sequence_last_value('idem.clock')));
END
$$;

-- Whether a row that this transaction sees, with this `xmin`, was written by itself or by a subtransaction of it.
CREATE FUNCTION idem.wrote(p_xmin xid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_self bigint := pg_current_xact_id()::text;
    -- The row's transaction, numbered without the turn at 2^32. Of a row that is some 2^32 transactions old it is another one.
    v_writer bigint := v_self + ((p_xmin::text::bigint - v_self + 2147483648) & 4294967295) - 2147483648;
BEGIN
    IF v_writer NOT BETWEEN v_self AND v_self + 10000000 THEN
        RETURN false;
    END IF;
    -- Of other transactions it sees only what was committed when the snapshot was taken.
    RETURN v_writer = v_self OR v_writer >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
        OR pg_xact_status(v_writer::text::xid8) = 'in progress';
END
$$;

-- Keeps the fence near `p_now`, so that sequences rise also across a restore of the database from elsewhere. Called by those
-- that give out sequences, before they do.
CREATE FUNCTION idem.advance_fence(p_now bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Taking a number costs less time than reading the last one.
    IF nextval('idem.fence') < p_now - 1000000 AND idem.try_lock('idem.fence') THEN
        -- Whoever had the lock before may have moved it. Others take numbers between this reading and the move, and those
        -- must not be given out again. They cannot take a million, so a fence that lags by so much is moved past them.
        PERFORM setval('idem.fence', p_now) FROM idem.fence WHERE last_value < p_now - 1000000;
    END IF;
END
$$;
