//! Building the layer, and checking its options.

use std::sync::Arc;

use http::Method;
use idem_core::error::Operation;
use idem_core::{Claim, Error, ErrorKind, Owner, Result};
use tokio::sync::Semaphore;

use super::layer_builder::IdempotencyLayerBuilder;
use crate::layer::IdempotencyLayer;
use crate::options::Options;
use crate::request::body::budget::BodyBudget;
use crate::response::kept_headers::is_reserved;
use crate::response::verdict::NOT_EXECUTED;
use crate::running::Running;
use crate::shared::Shared;

impl IdempotencyLayerBuilder {
    /// Builds the layer. The builder itself is not a layer; used as one, it fails to compile with "this idempotency
    /// layer is not built":
    ///
    /// ```compile_fail,E0277
    /// # use idem_core::{Scope, Store};
    /// # use idem_http::IdempotencyLayer;
    /// # fn app(store: impl Store) -> axum::Router {
    /// axum::Router::new().layer(IdempotencyLayer::builder(store, |_| Ok(Scope::shared())))
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) that names the option:
    ///
    /// - a lease or a retention outside the limits of [`Claim`];
    /// - a header of the layer whose name HTTP or gRPC reserves, or which another header of the layer has;
    /// - no [`request_uri`](IdempotencyLayerBuilder::request_uri), without the feature `axum`;
    /// - a time or a size of zero;
    /// - [`max_bodies_bytes`](IdempotencyLayerBuilder::max_bodies_bytes) below
    ///   [`max_body`](IdempotencyLayerBuilder::max_body);
    /// - no method or no key header at all;
    /// - the methods `HEAD` or `CONNECT`, whose answers have no body of their own;
    /// - a name in [`grpc_unary`](IdempotencyLayerBuilder::grpc_unary) that is neither a method nor all of a service.
    pub fn build(mut self) -> Result<IdempotencyLayer> {
        let options = &mut self.options;
        check(options)?;
        let request_uri = options.request_uri.ok_or_else(|| {
            invalid(
                "request_uri is not set: choose Unchanged when nothing outside the layer changes URIs, otherwise Original \
                 with an OriginalUriLayer outermost",
            )
        })?;
        let own = [options.replies.replayed_header.clone(), options.not_kept_header.clone(), NOT_EXECUTED];
        let kept = std::mem::take(&mut options.kept.headers);
        options.kept.headers = kept.without(own).also(options.expires_header.name.clone());
        let bodies = Arc::new(BodyBudget::new(options.max_bodies_bytes(), options.body.max_bytes));
        let waiters = Semaphore::new(options.max_waiters);
        let policy = options.policy();
        let store_timeout = policy.resend_limit(&self.store.capabilities());
        Ok(IdempotencyLayer::new(Shared {
            store_timeout,
            store: self.store,
            scope: self.scope,
            request_uri,
            options: self.options,
            policy,
            running: Running::default(),
            bodies,
            waiters,
        }))
    }
}

fn check(options: &Options) -> Result<()> {
    let claim =
        Claim { owner: Owner::from_bytes([0; 16]), lease: options.lease, retention: options.retention };
    claim.check().map_err(|error| invalid(error.message()))?;
    let empty = [
        ("methods", options.methods.is_empty()),
        ("key_headers", options.key_headers.is_empty()),
        ("max_body", options.body.max_bytes == 0),
        ("max_response", options.kept.max_body == 0),
        ("body_timeout", options.body.timeout.is_zero()),
        ("response_timeout", options.response_timeout.is_zero()),
        ("stream_after", options.stream_after.is_zero()),
        ("handler_timeout", options.handler_timeout.is_some_and(|limit| limit.is_zero())),
        ("store_timeout", options.store_timeout.is_some_and(|limit| limit.is_zero())),
    ];
    if let Some((name, _)) = empty.into_iter().find(|(_, empty)| *empty) {
        return Err(invalid(&format!("{name} is empty or zero: no request with a key could succeed")));
    }
    if options.max_bodies_bytes() < options.body.max_bytes {
        return Err(invalid(&format!(
            "max_bodies_bytes ({}) is less than max_body ({}): no body of that size could ever be read",
            options.max_bodies_bytes(),
            options.body.max_bytes
        )));
    }
    if let Some(named) = options.grpc_unary.invalid_name() {
        return Err(invalid(&format!(
            "grpc_unary: {named:?} is neither a method (\"/pay.Pay/Charge\") nor all of a service (\"/pay.Pay/*\")"
        )));
    }
    check_own_headers(options)?;
    match options.methods.iter().find(|method| [Method::HEAD, Method::CONNECT].contains(method)) {
        Some(method) => Err(invalid(&format!("methods: answers to {method} have no body of their own"))),
        None => Ok(()),
    }
}

/// Each of the layer's headers needs a name of its own, since clients and layers outside rely on its meaning.
fn check_own_headers(options: &Options) -> Result<()> {
    let own = [
        ("replayed_header", Some(&options.replies.replayed_header)),
        ("not_kept_header", Some(&options.not_kept_header)),
        ("expires_header", options.expires_header.name.as_ref()),
    ];
    let mut others = vec![NOT_EXECUTED];
    for (option, name) in own {
        let Some(name) = name else { continue };
        if is_reserved(name.as_str()) {
            return Err(invalid(&format!("{option}: {name:?} is reserved by HTTP or gRPC")));
        }
        if others.contains(name) {
            return Err(invalid(&format!("{option}: {name:?} is the name of another header of the layer")));
        }
        others.push(name.clone());
    }
    Ok(())
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, Operation::Configure, format!("idem-http: {message}"))
}
