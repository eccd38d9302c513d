//! The sidecar from socket to capture: in this process on ports of its own, and as the real binary under signals.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod flight;
mod limits;
mod passing;
mod pod;
mod process;
mod scene;
mod selecting;
mod shipping;
