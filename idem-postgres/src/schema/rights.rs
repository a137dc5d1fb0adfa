//! What the store's role may do in the schema.

use idem_core::error::Operation;
use idem_core::{Error, ErrorKind, Result};

use super::{failed, incompatible};
use crate::sql::{Executor, Parameter};

/// What is missing, in words; and whether policies of row-level security apply to the role.
const QUERY: &str = "
    SELECT
        nullif(concat_ws(', ', (SELECT string_agg(what, ', ') FROM (VALUES
            ('SELECT on records', has_table_privilege(records, 'SELECT')),
            ('INSERT on records', has_table_privilege(records, 'INSERT')),
            ('UPDATE on records', has_table_privilege(records, 'UPDATE')),
            ('DELETE on records', has_table_privilege(records, 'DELETE')),
            ('SELECT on fence', has_sequence_privilege(fence, 'SELECT')),
            ('UPDATE on fence', has_sequence_privilege(fence, 'UPDATE')),
            ('SELECT on released', has_sequence_privilege(released, 'SELECT')),
            ('UPDATE on released', has_sequence_privilege(released, 'UPDATE')),
            ('SELECT on clock', has_sequence_privilege(clock, 'SELECT')),
            ('UPDATE on clock', has_sequence_privilege(clock, 'UPDATE'))
        ) AS rights (what, had) WHERE NOT had), (
            -- By default everybody has it, unless a database is set up otherwise.
            SELECT 'EXECUTE on ' || string_agg(DISTINCT proname, ', ') FROM pg_proc
            WHERE pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
                AND NOT has_function_privilege(oid, 'EXECUTE')
        )), ''),
        row_security_active(records)
    FROM (SELECT format('%I.records', $1), format('%I.fence', $1), format('%I.released', $1), format('%I.clock', $1))
        AS named (records, fence, released, clock)";

/// Refuses a role that would fail in some call only, or to which records are hidden.
pub(super) async fn check(session: &mut impl Executor, schema: &str) -> Result<()> {
    let failed = |refusal| failed(&format!("the rights in the schema {schema:?} cannot be read"), refusal);
    let row = session.row(QUERY, &[Parameter::Text(schema)]).await.map_err(failed)?;
    let missing: Option<String> = row.get(0).map_err(incompatible)?;
    let hidden: bool = row.get(1).map_err(incompatible)?;
    let refused = |message| Err(Error::new(ErrorKind::InvalidConfig, Operation::Open, message));
    if let Some(missing) = missing {
        return refused(format!("this role lacks rights in the schema {schema:?}: {missing}"));
    }
    if hidden {
        return refused(format!(
            "row-level security is active for this role on {schema}.records: records that it hides would be locked twice"
        ));
    }
    Ok(())
}
