//! `datacube user`.

use clap::{Subcommand, ValueEnum};

use super::{DryRunArgs, Format, YesArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// List users and their roles
    List {
        /// How to print
        #[arg(short, long, default_value = "yaml")]
        format: Format,
    },
    /// Give users a role; a higher one that they have is taken away
    Grant {
        /// What they may do: read; read and write; everything
        role: Role,
        /// Their names
        #[arg(required = true, value_name = "USERS")]
        users: Vec<String>,
        #[command(flatten)]
        dry_run: DryRunArgs,
    },
    /// Create a user with a new password, and print a line for ~/.pgpass
    Create {
        /// What the user may do: read; read and write; everything
        role: Role,
        /// The user's name
        user: String,
        /// Who that is
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Read the password from standard input
        #[arg(long)]
        passwd_stdin: bool,
        #[command(flatten)]
        dry_run: DryRunArgs,
    },
    /// Delete users
    Delete {
        /// Their names
        #[arg(required = true, value_name = "USERS")]
        users: Vec<String>,
        #[command(flatten)]
        dry_run: DryRunArgs,
        #[command(flatten)]
        yes: YesArgs,
    },
}

/// A role of ODC's PostgreSQL index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Reads
    User,
    /// Reads and writes
    Manage,
    /// Does everything
    Admin,
}
