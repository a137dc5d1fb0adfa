//! Opening a store: configuration, schema, rights.

use std::fs::{read_dir, read_to_string};
use std::path::Path;
use std::time::Duration;

use idem_core::{Effect, ErrorKind, Registry, Store as _};
use idem_postgres::{DRIVER, PostgresStore};
use idem_servers::postgres::{Server, shared_lone};
use tokio::task::JoinSet;

use crate::support::{
    LEASE, RETENTION, claim, config, config_of, connect, grants, key, lock, open, sql_of_the_page, value,
};

#[tokio::test]
async fn a_store_is_opened_by_its_uri() {
    let (server, schema) = (shared_lone().await, config().await.schema);
    let uri = format!("postgres://postgres@{}/postgres?schema={schema}&call_timeout=3s", server.addr());
    let store = Registry::new().with(DRIVER).open(&uri).await.unwrap();
    assert!(store.get(&key("fresh")).await.unwrap().is_none());
    assert_eq!(store.capabilities().call_timeout, Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_and_shows_no_password() {
    let registry = Registry::new().with(DRIVER);
    for (uri, named) in [
        ("postgres://", "servers"),
        ("postgres://host", "user"),
        ("postgres://u:hunter2@host?schema=Public", "schema"),
        ("postgres://u:hunter2@host?schema=1st", "schema"),
        ("postgres://u:hunter2@host?call_timeout=0s", "call_timeout"),
        ("postgres://u:hunter2@host?max_outcome=1GiB", "max_outcome"),
        ("postgres://u:hunter2@host?nonsense=1", "nonsense"),
        ("postgres://u:hunter2@host:port", "host"),
        ("postgres://u:hunter2", "host"),
        ("postgres://host,u:hunter2", "host"),
        ("postgres://u:hunter2?@host", "option"),
        ("postgres://u:hunter2@host?servers=other", "servers"),
        ("postgres://u:hunter2@host?host=/run", "servers"),
        ("postgres://u:hunter2@?servers=host&host=/run", "servers"),
        ("postgres://u:hunter2@host?port=5433", "port"),
        ("postgres://u:hunter2@?host=/run&port=0", "servers"),
        ("postgres://u:hunter2@?host=/run&port=x", "port"),
        ("postgres:///db?host=/run", "user"),
        ("postgres://u:hunter2@a:b:c", "servers"),
        ("postgres://u:hunter2@host?sslmode=allow", "sslmode"),
        ("postgres://u:hunter2@host?sslmode=disable&sslrootcert=ca.pem", "sslrootcert"),
        ("postgres://u:hunter2@localhost?sslrootcert=ca.pem", "sslrootcert"),
        ("postgres://u:hunter2@host?sslmode=prefer&ca_file=ca.pem", "sslrootcert"),
        ("postgres://u:hunter2@host?sslmode=verify-ca", "sslrootcert"),
        ("postgres://u:hunter2@host?sslmode=require&sslrootcert=system", "sslrootcert"),
        ("postgres://u:hunter2@host?sslcert=c.pem", "sslkey"),
        ("postgres://u:hunter2@host?client_key_file=c.pem", "sslcert"),
        ("postgres://u@host?sslmode=require", "password"),
    ] {
        let error = registry.open(uri).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{uri}");
        assert!(
            error.to_string().contains(named) && !error.to_string().contains("hunter2"),
            "{uri}: {error}"
        );
    }
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn tls_needs_its_feature() {
    let registry = Registry::new().with(DRIVER);
    for uri in [
        "postgres://u:hunter2@db.internal",
        "postgres://u:hunter2@localhost?sslmode=verify-full",
        "postgres://u:hunter2@localhost?sslmode=require",
    ] {
        let error = registry.open(uri).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{uri}: {error}");
        assert!(error.message().contains("feature `tls`"), "{uri}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let mut config = config().await;
    config.servers = vec!["127.0.0.1:1".parse().unwrap()];
    assert_eq!(PostgresStore::open(config).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_passed_over() {
    let mut config = config().await;
    config.servers.insert(0, "127.0.0.1:1".parse().unwrap());
    lock(&open(&config).await, &key("order"), &claim()).await;
}

#[tokio::test]
async fn many_that_open_an_empty_database_at_once_all_succeed() {
    let config = config().await;
    let mut opening = JoinSet::new();
    for _ in 0..8 {
        opening.spawn(PostgresStore::open(config.clone()));
    }
    for opened in opening.join_all().await {
        opened.unwrap();
    }
}

/// On a server of its own: its schema is no other than `user`.
#[tokio::test]
async fn a_schema_may_be_named_by_a_word_of_sql() {
    let server = Server::lone().await;
    let mut config = config_of(server.node());
    config.schema = "user".to_owned();
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.settled(&key("order"), Duration::from_secs(30)).await }
    });
    assert_eq!(store.renew(&lease, LEASE).await.unwrap(), Effect::Applied);
    let step = store.checkpoint(&lease, 1, "half".into(), LEASE).await.unwrap();
    assert_eq!(step, Effect::Applied);
    assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
    assert!(waiting.await.unwrap().unwrap());
    assert!(store.get(&key("order")).await.unwrap().is_some());
    let lease = lock(&store, &key("another"), &claim()).await;
    assert_eq!(store.release(&lease).await.unwrap(), Effect::Applied);
    assert!(store.remove(&key("order"), true).await.unwrap());
    store.expire(10).await.unwrap();
    config.migrate = false;
    drop(open(&config).await);
}

/// As docs/postgres.md says, in a schema of another name.
#[tokio::test]
async fn a_schema_that_was_made_by_hand_is_used() {
    let mut config = config().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let files: String = files.iter().map(|file| read_to_string(file).unwrap()).collect();
    let sql = sql_of_the_page("CREATE SCHEMA ").replace("-- the files of migrations/", &files);
    let schema = &config.schema;
    let sql =
        sql.replace("idem.", &format!("{schema}.")).replace("SCHEMA idem;", &format!("SCHEMA {schema};"));
    connect(&config).await.batch_execute(&sql).await.unwrap();
    config.migrate = false;
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    assert_eq!(store.complete(&lease, value("done"), RETENTION).await.unwrap(), Effect::Applied);
}

#[tokio::test]
async fn what_is_missing_is_named_where_nothing_may_be_created() {
    let mut config = config().await;
    config.migrate = false;
    let (client, schema) = (connect(&config).await, config.schema.clone());
    for (done, missing) in [
        ("SELECT 1".to_owned(), format!("has no schema \"{schema}\"")),
        (format!("CREATE SCHEMA {schema}"), "has no table `migrations`".to_owned()),
        (format!("CREATE TABLE {schema}.records ()"), "the numbers of the files".to_owned()),
    ] {
        client.batch_execute(&done).await.unwrap();
        let error = PostgresStore::open(config.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.message().contains(&missing), "{error}");
    }
}

#[tokio::test]
async fn a_schema_of_a_later_version_is_incompatible() {
    let config = config().await;
    drop(open(&config).await);
    let later = format!("INSERT INTO {}.migrations (version) VALUES (1000)", config.schema);
    connect(&config).await.batch_execute(&later).await.unwrap();
    for migrate in [true, false] {
        let mut config = config.clone();
        config.migrate = migrate;
        assert_eq!(PostgresStore::open(config).await.unwrap_err().kind(), ErrorKind::Incompatible);
    }
}

/// What docs/postgres.md says that a role needs is enough, and it cannot create anything.
#[tokio::test]
async fn a_role_with_the_least_rights_runs_the_store_and_cannot_migrate() {
    let config = config().await;
    drop(open(&config).await);
    let (schema, admin) = (&config.schema, connect(&config).await);
    let role = schema.replace("test_", "role_");
    let rights = format!("CREATE ROLE {role} LOGIN; {}", grants(schema, &role));
    admin.batch_execute(&rights).await.unwrap();
    let mut config = config.clone();
    (config.user, config.database) = (role, Some("postgres".to_owned()));
    let store = open(&config).await;
    let lease = lock(&store, &key("order"), &claim()).await;
    let _effect = store.release(&lease).await.unwrap();
    drop(lock(&store, &key("order"), &claim()).await);
    assert!(store.remove(&key("order"), true).await.unwrap());
    store.expire(10).await.unwrap();
    config.schema.push_str("_other");
    let error = PostgresStore::open(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("permission denied"), "{error}");
}

/// As in a database in which not everybody may call every function.
#[tokio::test]
async fn a_role_that_may_not_call_the_functions_is_told_so() {
    let config = config().await;
    drop(open(&config).await);
    let (schema, admin) = (&config.schema, connect(&config).await);
    let role = schema.replace("test_", "role_");
    let rights = format!(
        "CREATE ROLE {role} LOGIN; REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC; {}
         REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} FROM {role}",
        grants(schema, &role)
    );
    admin.batch_execute(&rights).await.unwrap();
    let mut least = config.clone();
    (least.user, least.database) = (role.clone(), Some("postgres".to_owned()));
    let error = PostgresStore::open(least.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let message = error.to_string();
    assert!(message.contains("EXECUTE on ") && message.contains("lock_one"), "{message}");
    admin.batch_execute(&grants(schema, &role)).await.unwrap();
    drop(lock(&open(&least).await, &key("order"), &claim()).await);
}

#[tokio::test]
async fn a_role_that_lacks_a_right_is_told_which() {
    let config = config().await;
    drop(open(&config).await);
    let (schema, admin) = (&config.schema, connect(&config).await);
    let role = schema.replace("test_", "role_");
    let rights = format!(
        "CREATE ROLE {role} LOGIN; {}
         REVOKE DELETE ON {schema}.records FROM {role};
         REVOKE UPDATE ON SEQUENCE {schema}.fence FROM {role}",
        grants(schema, &role)
    );
    admin.batch_execute(&rights).await.unwrap();
    let mut config = config.clone();
    (config.user, config.database) = (role, Some("postgres".to_owned()));
    let error = PostgresStore::open(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().ends_with("DELETE on records, UPDATE on fence"), "{error}");
}

/// Its records would be there for some roles and not for others.
#[tokio::test]
async fn row_level_security_is_refused() {
    let config = config().await;
    drop(open(&config).await);
    let (schema, admin) = (&config.schema, connect(&config).await);
    let role = schema.replace("test_", "role_");
    let secure = format!(
        "CREATE ROLE {role} LOGIN;
         GRANT USAGE ON SCHEMA {schema} TO {role};
         GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role};
         GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO {role};"
    );
    admin.batch_execute(&secure).await.unwrap();
    let mut config = config.clone();
    (config.user, config.database) = (role, Some("postgres".to_owned()));
    drop(open(&config).await);
    let secure = format!("ALTER TABLE {}.records ENABLE ROW LEVEL SECURITY", config.schema);
    admin.batch_execute(&secure).await.unwrap();
    let error = PostgresStore::open(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("row-level security"), "{error}");
}

#[tokio::test]
async fn a_schema_with_other_tables_is_left_alone() {
    for table in ["records (x int)", "migrations (x int)"] {
        let config = config().await;
        let (schema, admin) = (&config.schema, connect(&config).await);
        admin.batch_execute(&format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.{table}")).await.unwrap();
        let error = PostgresStore::open(config.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incompatible, "{table}: {error}");
        assert!(error.to_string().contains("not the store's"), "{error}");
    }
}
