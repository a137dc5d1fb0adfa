//! The compiler's message for a layer whose `build` was forgotten.

use tower_layer::Layer;

use super::layer_builder::IdempotencyLayerBuilder;
use crate::service::Idempotency;

/// Implemented by nothing, so that a builder used as a layer fails to compile with the message below.
#[diagnostic::on_unimplemented(
    message = "this idempotency layer is not built",
    label = "an `IdempotencyLayerBuilder` is not a layer yet: end it with `.build()?`",
    note = "`build` returns a `Result`, since options may contradict one another; it holds an `IdempotencyLayer`"
)]
pub trait UnbuiltLayer {
    #[doc(hidden)]
    fn never<T>(self) -> T;
}

/// Never applies: this implementation exists for the message.
#[doc(hidden)]
impl<I: UnbuiltLayer> Layer<I> for IdempotencyLayerBuilder {
    type Service = Idempotency<I>;

    fn layer(&self, inner: I) -> Idempotency<I> {
        inner.never()
    }
}
