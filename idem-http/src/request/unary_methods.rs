//! Which calls of gRPC the layer acts on.
//!
//! HTTP does not say whether a call is unary or a stream: a message that nothing follows yet may be either. A stream that
//! the layer buffers never begins, and a unary call that the layer lets through may run twice. So the application names
//! the methods.

use std::sync::atomic::{AtomicBool, Ordering};

/// The methods that take one message and answer with one.
#[derive(Debug, Default)]
pub(crate) struct UnaryMethods {
    paths: Vec<String>,
    /// Whether it was logged that a call with a key went to its handler untouched.
    has_warned: AtomicBool,
}

impl UnaryMethods {
    pub(crate) fn new(paths: Vec<String>) -> Self {
        Self { paths, has_warned: AtomicBool::new(false) }
    }

    /// Whether the application has named any. If not, the `Content-Type` of gRPC must not let a client get past the
    /// layer.
    pub(crate) fn are_named(&self) -> bool {
        !self.paths.is_empty()
    }

    /// Whether `path` is a named method, by its own name or as a method of a service that was named with `*`.
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.paths.iter().any(|named| match named.strip_suffix('*') {
            Some(service) => path.starts_with(service),
            None => path == named,
        })
    }

    /// A name that denotes neither a method nor all methods of a service.
    pub(crate) fn invalid_name(&self) -> Option<&str> {
        let is_path = |path: &str| {
            let parts: Vec<_> = path.split('/').collect();
            matches!(parts[..], ["", service, method]
                if !service.is_empty() && !service.contains('*')
                    && !method.is_empty() && (method == "*" || !method.contains('*')))
        };
        self.paths.iter().map(String::as_str).find(|path| !is_path(path))
    }

    /// Logs, once, that a call goes to its handler without a lock.
    pub(crate) fn warn_of_unnamed(&self, path: &str) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                path,
                "a gRPC call with an idempotency key goes to its handler without a lock: name its method by grpc_unary if \
                 it is unary"
            );
        }
    }
}

impl Clone for UnaryMethods {
    fn clone(&self) -> Self {
        Self::new(self.paths.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_named_by_themselves_or_by_their_service() {
        let named = UnaryMethods::new(vec!["/pay.Pay/Charge".to_owned(), "/book.Books/*".to_owned()]);
        for (path, is_named) in [
            ("/pay.Pay/Charge", true),
            ("/pay.Pay/ChargeAll", false),
            ("/pay.Pay/Watch", false),
            ("/book.Books/Any", true),
            ("/book.BooksTwo/Any", false),
        ] {
            assert_eq!(named.contains(path), is_named, "{path}");
        }
    }

    #[test]
    fn a_name_that_is_not_a_method_is_reported() {
        for misnamed in ["pay.Pay/Charge", "/pay*", "/pay.Pay/", "/*", "/pay.Pay/Ch*", "", "//Charge"] {
            let named = UnaryMethods::new(vec!["/pay.Pay/*".to_owned(), misnamed.to_owned()]);
            assert_eq!(named.invalid_name(), Some(misnamed));
        }
        assert_eq!(UnaryMethods::new(vec!["/pay.Pay/Charge".to_owned()]).invalid_name(), None);
    }
}
