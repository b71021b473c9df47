//! Questions before something is destroyed.
//!
//! A person at a terminal is asked; a script has to say beforehand that it
//! means it, and is told how.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Result, bail};

use super::note;

/// What the caller said about being asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Consent {
    /// Everything is wanted: `--yes`.
    Given,
    /// Ask at a terminal; elsewhere a forceful option is consent enough.
    Implied,
    /// Ask at a terminal; elsewhere refuse.
    Needed,
}

impl Consent {
    /// From `--yes` and `--force`.
    pub(crate) fn of(yes: bool, force: bool) -> Self {
        match (yes, force) {
            (true, _) => Consent::Given,
            (false, true) => Consent::Implied,
            (false, false) => Consent::Needed,
        }
    }
}

/// Asks whether to go on; `false` when the answer is no.
///
/// # Errors
/// When there is nobody to ask; the error names the option that answers.
pub(crate) fn confirm(warning: &str, consent: Consent) -> Result<bool> {
    let is_terminal = io::stdin().is_terminal();
    match consent {
        Consent::Given => return Ok(true),
        Consent::Implied if !is_terminal => return Ok(true),
        Consent::Needed if !is_terminal => bail!(
            "{warning}; nobody can be asked here, so nothing was done. \
             Say --yes (or set DATACUBE_YES=1) to go on without a question"
        ),
        Consent::Implied | Consent::Needed => {}
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{warning}. Proceed? [y/N]: ")?;
    stderr.flush()?;
    drop(stderr);
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    let agreed = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    if !agreed {
        note("Aborted: nothing was done.");
    }
    Ok(agreed)
}
