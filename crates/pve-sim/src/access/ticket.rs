// SPDX-License-Identifier: GPL-3.0-only
//! Tickets and CSRF prevention tokens (`PVE/Ticket.pm`, `PVE/AccessControl.pm`).
//!
//! Tickets have PVE's format and length, but not its signatures: PVE signs with RSA, the simulator
//! uses keyed hashes with a key created at startup.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ring::hmac;
use ring::rand::SystemRandom;

use crate::clock::{Seconds, whole};

/// Tickets are valid for two hours.
const LIFETIME: i64 = 2 * 3600;
/// The maximum difference of the nodes' clocks, in seconds.
const SKEW: i64 = 300;

/// The content of a valid ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ticket {
    /// Logged in as this user.
    User(String),
    /// The second factor of this user is still missing.
    Challenge(String),
}

/// Creates and verifies tickets.
#[derive(Debug, Clone)]
pub struct Signer {
    key: hmac::Key,
}

impl Signer {
    /// Creates a signer with a new key.
    ///
    /// # Panics
    ///
    /// If the system's random number generator fails.
    pub fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA512, &SystemRandom::new())
            .expect("the system's random numbers are available");
        Self { key }
    }

    /// Creates a ticket issued at `at`.
    pub fn ticket(&self, userid: &str, at: Seconds) -> String {
        self.sign(&format!("PVE:{userid}:{:08X}", whole(at)), "")
    }

    /// Creates a ticket for the second step of a login with a second factor. PVE puts the possible
    /// factors into it, and includes the user in the signature.
    pub fn challenge(&self, userid: &str, at: Seconds) -> String {
        self.sign(
            &format!("PVE:!tfa!{{\"totp\"%3Atrue}}:{:08X}", whole(at)),
            userid,
        )
    }

    /// Returns the user of a valid ticket.
    pub fn verify(&self, text: &str, now: Seconds) -> Option<String> {
        let (plain, issued) = self.verify_signature(text, "")?;
        let userid = plain.strip_prefix("PVE:")?.rsplit_once(':')?.0;
        (!userid.starts_with('!') && is_current(issued, now)).then(|| userid.to_owned())
    }

    /// Whether this is a valid challenge for the user.
    pub fn verify_challenge(&self, text: &str, userid: &str, now: Seconds) -> bool {
        self.verify_signature(text, userid)
            .is_some_and(|(plain, issued)| {
                plain.starts_with("PVE:!tfa!") && is_current(issued, now)
            })
    }

    /// Creates the token that must accompany a cookie in all write requests.
    pub fn csrf(&self, userid: &str, at: Seconds) -> String {
        let time = format!("{:08X}", whole(at));
        let tag = hmac::sign(&self.key, format!("CSRF:{time}:{userid}").as_bytes());
        format!("{time}:{}", STANDARD_NO_PAD.encode(&tag.as_ref()[..32]))
    }

    /// Whether this is a valid CSRF prevention token of the user.
    pub fn verify_csrf(&self, text: &str, userid: &str, now: Seconds) -> bool {
        let Some((time, _)) = text.split_once(':') else {
            return false;
        };
        let Ok(issued) = i64::from_str_radix(time, 16) else {
            return false;
        };
        #[expect(clippy::cast_precision_loss, reason = "dates fit into 53 bits")]
        let own = self.csrf(userid, issued as Seconds);
        own == text && is_current(issued, now)
    }

    /// Replaces the key, which invalidates all tickets and CSRF prevention tokens.
    pub fn expire_all(&mut self) {
        *self = Self::new();
    }

    fn sign(&self, plain: &str, bound_to: &str) -> String {
        format!(
            "{plain}::{}",
            STANDARD.encode(self.signature(plain, bound_to))
        )
    }

    /// Has the length of PVE's 2048-bit RSA signature.
    fn signature(&self, plain: &str, bound_to: &str) -> Vec<u8> {
        (0..4)
            .flat_map(|part| {
                let text = format!("{part}:{bound_to}:{plain}");
                hmac::sign(&self.key, text.as_bytes()).as_ref().to_vec()
            })
            .collect()
    }

    fn verify_signature<'a>(&self, text: &'a str, bound_to: &str) -> Option<(&'a str, i64)> {
        let (plain, signature) = text.rsplit_once("::")?;
        let given = STANDARD.decode(signature).ok()?;
        if self.signature(plain, bound_to) != given {
            return None;
        }
        let issued = i64::from_str_radix(plain.rsplit_once(':')?.1, 16).ok()?;
        Some((plain, issued))
    }
}

fn is_current(issued: i64, now: Seconds) -> bool {
    let age = whole(now) - issued;
    -SKEW < age && age < LIFETIME
}

impl Default for Signer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Seconds = 1_800_000_000.0;

    #[test]
    fn a_ticket_is_valid_for_two_hours() {
        let signer = Signer::new();
        for (age, valid) in [
            (0.0, true),
            (7140.0, true),
            (7260.0, false),
            (-600.0, false),
        ] {
            let ticket = signer.ticket("backup@pve", NOW - age);
            assert_eq!(signer.verify(&ticket, NOW).is_some(), valid, "{age}");
        }
    }

    #[test]
    fn damaged_tickets_and_foreign_keys_are_rejected() {
        let signer = Signer::new();
        let ticket = signer.ticket("backup@pve", NOW);
        assert_eq!(signer.verify(&ticket, NOW).as_deref(), Some("backup@pve"));
        let damaged = format!("{}AAAAAAAA", &ticket[..ticket.len() - 8]);
        assert_eq!(signer.verify(&damaged, NOW), None);
        assert_eq!(Signer::new().verify(&ticket, NOW), None);
        assert_eq!(signer.verify("garbage", NOW), None);
    }

    #[test]
    fn a_challenge_is_not_a_ticket_and_belongs_to_one_user() {
        let signer = Signer::new();
        let challenge = signer.challenge("totp@pve", NOW);
        assert_eq!(signer.verify(&challenge, NOW), None);
        assert!(signer.verify_challenge(&challenge, "totp@pve", NOW));
        assert!(!signer.verify_challenge(&challenge, "backup@pve", NOW));
    }

    #[test]
    fn csrf_tokens_belong_to_one_user() {
        let signer = Signer::new();
        let token = signer.csrf("backup@pve", NOW);
        assert!(signer.verify_csrf(&token, "backup@pve", NOW + 60.0));
        assert!(!signer.verify_csrf(&token, "auditor@pve", NOW));
        assert!(!signer.verify_csrf("x", "backup@pve", NOW));
    }
}
