//! Runs the code of the project's pages as documentation tests. The examples themselves are in the folders beside `src`.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../docs/configuration.md")]
struct Configuration;

#[cfg(doctest)]
#[doc = include_str!("../../docs/redis.md")]
struct OnRedis;

#[cfg(doctest)]
#[doc = include_str!("../../docs/postgres.md")]
struct OnPostgres;

#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../docs/guide/ten-minutes.md")]
    struct TenMinutes;
    #[doc = include_str!("../../docs/guide/scopes.md")]
    struct Scopes;
    #[doc = include_str!("../../docs/guide/lease-and-retention.md")]
    struct LeaseAndRetention;
    #[doc = include_str!("../../docs/guide/results.md")]
    struct Results;
    #[doc = include_str!("../../docs/guide/effects.md")]
    struct Effects;
    #[doc = include_str!("../../docs/guide/execute.md")]
    struct Execute;
    #[doc = include_str!("../../docs/guide/one-transaction.md")]
    struct OneTransaction;
    #[doc = include_str!("../../docs/guide/operate.md")]
    struct Operate;
    #[doc = include_str!("../../docs/guide/testing.md")]
    struct Testing;
    #[doc = include_str!("../../docs/where-the-layer-stands.md")]
    struct WhereTheLayerStands;
}

#[cfg(doctest)]
mod crates {
    #[doc = include_str!("../../idem-core/README.md")]
    struct Core;
    #[doc = include_str!("../../idem-redb/README.md")]
    struct Redb;
    #[doc = include_str!("../../idem-redis/README.md")]
    struct Redis;
    #[doc = include_str!("../../idem-postgres/README.md")]
    struct Postgres;
    #[doc = include_str!("../../idem-moka/README.md")]
    struct Moka;
    #[doc = include_str!("../../idem-http/README.md")]
    struct Http;
    #[doc = include_str!("../../idem-client/README.md")]
    struct Client;
    #[doc = include_str!("../../idem-conformance/README.md")]
    struct Conformance;
}
