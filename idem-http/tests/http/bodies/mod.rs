//! Bodies: their bounds, the memory that they may hold, and malicious clients.

mod accounts;
mod body_timer;
mod half_sent;
mod hostile;
mod room_for_bodies;
mod s09_limits;
mod shares;
