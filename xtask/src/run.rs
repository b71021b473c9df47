//! Running other programs from the root of the project.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};

/// The root of the project.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    manifest
        .and_then(|folder| folder.parent().map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from("."))
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Step {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program to be run in the root of the project.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Step {
    let mut command = Command::new(program.as_ref());
    command.current_dir(root());
    // What cargo told this program is not meant for the cargo that it starts.
    for (name, _) in std::env::vars_os() {
        let is_ours = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_")
                || matches!(name, "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH")
        });
        if is_ours {
            command.env_remove(name);
        }
    }
    Step {
        command,
        text: program.as_ref().to_owned(),
    }
}

/// A program with its arguments.
#[derive(Debug)]
pub(crate) struct Step {
    command: Command,
    text: OsString,
}

impl Step {
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.text.push(" ");
        self.text.push(arg.as_ref());
        self.command.arg(arg);
        self
    }

    pub(crate) fn args(self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        args.into_iter().fold(self, Step::arg)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it; what it prints is seen.
    pub(crate) fn run(mut self) -> Result<()> {
        let text = self.text.to_string_lossy().into_owned();
        let status = self
            .command
            .status()
            .with_context(|| format!("could not start `{text}`"))?;
        if !status.success() {
            bail!("`{text}` failed ({status})");
        }
        Ok(())
    }

    /// Runs it and gives back what it printed to its standard output; its errors are seen.
    pub(crate) fn read(mut self) -> Result<String> {
        let text = self.text.to_string_lossy().into_owned();
        let Output { status, stdout, .. } = self
            .command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("could not start `{text}`"))?;
        if !status.success() {
            bail!("`{text}` failed ({status})");
        }
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    }

    /// Whether it can be run and succeeds; what it prints is not seen.
    pub(crate) fn works(mut self) -> bool {
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}
