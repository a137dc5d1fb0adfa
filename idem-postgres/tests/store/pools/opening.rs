//! Opening a store on a pool.

use std::path::PathBuf;
use std::time::Duration;

use idem_core::{ErrorKind, Store as _};
use idem_postgres::{PostgresConfig, PostgresStore, SslMode};
use idem_servers::postgres::{Server, shared_lone};
use tokio::task::JoinSet;

use super::application::{Application, Library};
use crate::support::{claim, connect, key, lock};

with_each_library!(
    what_the_pool_says_is_not_said_again,
    many_open_at_once,
    a_role_that_is_not_let_in_is_refused,
    a_role_that_lacks_rights_is_refused,
    a_server_that_is_gone_is_unavailable_and_found_again,
);

async fn what_the_pool_says_is_not_said_again(library: Library) {
    type Change = fn(&mut PostgresConfig);
    let application = Application::with(library, 1).await;
    let changes: [(&str, Change); 9] = [
        ("servers", |config| config.servers = vec!["localhost".parse().unwrap()]),
        ("user", |config| "app".clone_into(&mut config.user)),
        ("password", |config| config.password = Some("hunter2".to_owned())),
        ("database", |config| config.database = Some("app".to_owned())),
        ("sslmode", |config| config.sslmode = Some(SslMode::Prefer)),
        ("sslrootcert", |config| config.sslrootcert = Some(PathBuf::from("ca.pem"))),
        ("sslcert", |config| config.sslcert = Some(PathBuf::from("client.pem"))),
        ("sslkey", |config| config.sslkey = Some(PathBuf::from("client.key"))),
        ("acks", |config| config.acks = 1),
    ];
    for (option, change) in changes {
        let mut config = application.config.clone();
        change(&mut config);
        let error = PostgresStore::with_pool(application.pool(), config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
        assert!(error.message().starts_with(option), "{error}");
    }
    let mut config = application.config.clone();
    "No Schema".clone_into(&mut config.schema);
    let error = PostgresStore::with_pool(application.pool(), config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    let error = PostgresStore::open(PostgresConfig::for_pool()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
}

async fn many_open_at_once(library: Library) {
    let application = Application::with(library, 4).await;
    let mut opening = JoinSet::new();
    for _ in 0..8 {
        opening.spawn(PostgresStore::with_pool(application.pool(), application.config.clone()));
    }
    for opened in opening.join_all().await {
        let store = opened.unwrap();
        assert!(store.get(&key("order")).await.unwrap().is_none());
    }
}

async fn a_role_that_is_not_let_in_is_refused(library: Library) {
    let role = application_role(library).await;
    let application = Application::on(shared_lone().await, library, 2, &role);
    let error = application.try_open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    assert!(error.to_string().contains("28000"), "{error}");
}

async fn a_role_that_lacks_rights_is_refused(library: Library) {
    let role = application_role(library).await;
    let mut application = Application::on(shared_lone().await, library, 2, &role);
    let client = connect(&application.server).await;
    client.batch_execute(&format!("ALTER ROLE {role} LOGIN")).await.unwrap();
    drop(crate::support::open(&application.server).await);
    let schema = &application.config.schema;
    let grant =
        format!("GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON {schema}.migrations TO {role}");
    client.batch_execute(&grant).await.unwrap();
    application.config.migrate = false;
    let error = application.try_open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    assert!(error.to_string().contains("INSERT on records"), "{error}");
}

/// A role that no other test uses, and that must not log in.
async fn application_role(library: Library) -> String {
    let application = Application::with(library, 1).await;
    let role = application.config.schema.replace("test_", "role_");
    connect(&application.server).await.batch_execute(&format!("CREATE ROLE {role} NOLOGIN")).await.unwrap();
    role
}

async fn a_server_that_is_gone_is_unavailable_and_found_again(library: Library) {
    let server = Server::lone().await;
    let mut application = Application::on(server.node(), library, 2, "postgres");
    application.config.response_timeout = Duration::from_millis(500);
    let store = application.open().await;
    server.kill();
    assert_eq!(application.try_open().await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.restart().await;
    drop(lock(&store, &key("order"), &claim()).await);
}
