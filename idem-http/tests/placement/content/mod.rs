//! Layers that limit, compress or read bodies.

mod bodies;
mod compression;
mod multipart;
