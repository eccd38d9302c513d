//! Real texts and real arrivals that the demo and the tests use; sources and licences in `samples/README.md`.
