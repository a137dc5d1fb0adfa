//! Memory of a completed record on the server.

use std::sync::Arc;

use idem_benches::{Bar, Figure, Payload, Plan, RETENTION, Raw as _, Result, fill, keys};
use idem_core::Store;
use idem_redis::{RedisConfig, RedisStore};
use idem_servers::redis::Server;

use crate::bare::{self, Bare};
use crate::{KIB, address};

pub(crate) async fn measure(server: &Server, plan: &Plan) -> Result<Vec<Figure>> {
    let config = RedisConfig::standalone(address(server)?);
    let (records, payload) = (plan.memory_records, Payload::new(KIB)?);
    let before = used(server).await?;
    let store: Arc<dyn Store> = Arc::new(RedisStore::open(config.clone()).await?);
    fill(&store, &keys(records), KIB, RETENTION).await?;
    let with_store = used(server).await? - before;
    bare::empty(&config).await?;
    let before = used(server).await?;
    // The same body and nothing else.
    Bare::connect(&config).await?.fill(&keys(records), &Arc::from(&payload.outcome[..])).await?;
    let with_set = used(server).await? - before;
    bare::empty(&config).await?;
    let what = format!("memory of a completed record of 1 KiB against SET of its body, over {records}");
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 records")]
    let each = with_store / records as f64;
    Ok(vec![
        Figure::held(what, Some(with_store / with_set), "x", Bar::AtMost(1.3)),
        Figure::reported("  bytes of the server for each", Some(each), "B"),
    ])
}

async fn used(server: &Server) -> Result<f64> {
    let info = server.command(&["INFO", "memory"]).await?;
    Ok(info.field("used_memory").ok_or("the server does not say how much memory it uses")?.parse()?)
}
