//! `t0rn-agent takeover`: a container that an operator ran before, the agent's in its place, and the way back.

mod composed;
mod fenced;
mod interrupted;
mod killer;
mod refused;
mod round_trip;
mod shape;
mod shapes;
mod world;
