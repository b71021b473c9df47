//! Certificates for a test, made by the program `openssl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::skip;

/// Who signs certificates.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// Makes an authority with files of its own in `folder`; [`skip`]s the test
    /// and gives `None` where there is no `openssl`.
    ///
    /// # Panics
    /// When `openssl` is there and fails.
    pub fn make(folder: &Path) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            skip("needs the program openssl");
            return None;
        }
        fs::create_dir_all(folder).expect("a folder for certificates can be made");
        let authority = Authority {
            folder: folder.to_owned(),
        };
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=an authority made by a test",
            "-keyout",
            "root.key",
            "-out",
            "root.crt",
        ]);
        Some(authority)
    }

    /// The certificate by which those that it signs are known.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root.crt")
    }

    /// A certificate for the server of that name, and its key.
    ///
    /// # Panics
    /// When `openssl` fails.
    pub fn issue(&self, host: &str) -> (PathBuf, PathBuf) {
        let (request, key) = (format!("{host}.csr"), format!("{host}.key"));
        let (extension, certificate) = (format!("{host}.ext"), format!("{host}.crt"));
        fs::write(
            self.folder.join(&extension),
            format!("subjectAltName=DNS:{host}\nbasicConstraints=CA:FALSE\n"),
        )
        .expect("the folder is ours");
        self.openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            &format!("/CN={host}"),
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "root.crt",
            "-CAkey",
            "root.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            &extension,
            "-out",
            &certificate,
        ]);
        (self.folder.join(certificate), self.folder.join(key))
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl")
            .current_dir(&self.folder)
            .args(arguments)
            .output()
            .expect("openssl is there");
        assert!(
            output.status.success(),
            "openssl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
