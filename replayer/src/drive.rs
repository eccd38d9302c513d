//! Sends each scheduled request at its instant and notes exactly one outcome for it.
//!
//! The entry is `rehearse(plan: &Plan, progress: Progress, stop: &Stop) -> Result<Rehearsal, DriveError>`.
