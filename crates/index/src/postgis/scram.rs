//! A password as the server keeps it.
//!
//! A password in a statement stands in the server's log, and in every log of
//! statements on the way. What proves a password, and does not tell it, does
//! not matter there.
//!
//! # Source
//! RFC 5802, RFC 7677; PostgreSQL 15 manual, "pg_authid".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// PostgreSQL's own number of rounds.
const ITERATIONS: u32 = 4096;

const BLOCK: usize = 64;

/// What proves the password by SCRAM-SHA-256; `None` for one with characters
/// beyond ASCII, of which the server makes others first.
pub(super) fn verifier(password: &str) -> Option<String> {
    let is_plain = !password.is_empty() && password.bytes().all(|b| (b' '..=b'~').contains(&b));
    is_plain.then(|| verifier_of(password.as_bytes(), Uuid::new_v4().as_bytes()))
}

fn verifier_of(password: &[u8], salt: &[u8]) -> String {
    let salted = salted(password, salt);
    let stored: [u8; 32] = Sha256::digest(hmac(&salted, b"Client Key")).into();
    let server = hmac(&salted, b"Server Key");
    format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored),
        STANDARD.encode(server)
    )
}

/// `Hi` of RFC 5802, which is PBKDF2 with one block of output.
fn salted(password: &[u8], salt: &[u8]) -> [u8; 32] {
    let mut last = hmac(password, &[salt, &1_u32.to_be_bytes()].concat());
    let mut sum = last;
    for _ in 1..ITERATIONS {
        last = hmac(password, &last);
        for (sum, last) in sum.iter_mut().zip(last) {
            *sum ^= last;
        }
    }
    sum
}

/// HMAC-SHA-256, RFC 2104.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let hashed = |pad: u8, message: &[u8]| -> [u8; 32] {
        Sha256::new()
            .chain_update(block.map(|byte| byte ^ pad))
            .chain_update(message)
            .finalize()
            .into()
    };
    hashed(0x5c, &hashed(0x36, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        // RFC 7677, section 3: user `user`, password `pencil`.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let salted = salted(b"pencil", &salt);
        let nonces = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let said = format!(
            "n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonces},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonces}"
        );
        let signature = hmac(&hmac(&salted, b"Server Key"), said.as_bytes());
        assert_eq!(
            STANDARD.encode(signature),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
        let long = [b'k'; 100];
        assert_ne!(hmac(&long, b"x"), hmac(&long[..99], b"x"));
    }

    #[test]
    fn what_is_kept_does_not_tell() {
        let one = verifier("secret word").expect("plain");
        assert!(one.starts_with("SCRAM-SHA-256$4096:"), "{one}");
        assert!(!one.contains("secret"), "{one}");
        assert_ne!(one, verifier("secret word").expect("plain"), "salted");
        assert!(verifier("gehe\u{ef}m").is_none() && verifier("").is_none());
    }
}
