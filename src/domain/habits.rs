//! What each contract promises of its sessions, in one table: who may come without a credential, who is given sessions, what may be opened again.

use super::principal::Realm;

/// Whether those who answer under one contract serve the visitors of the others (`CROSS_CONTRACT`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Contracts {
    /// They do: sessions of support are everybody's who answers.
    #[default]
    Together,
    /// They do not: what was opened under a contract stays in it.
    Apart,
}

/// From how many characters on a visitor's id is hard enough to guess to be found again from anywhere.
const UNGUESSABLE: usize = 16;

impl Realm {
    /// Whether a new session waits in a queue from which agents are given sessions.
    pub fn has_queue(self) -> bool {
        match self {
            Realm::Support | Realm::Rooms => true,
            Realm::Operators | Realm::Widget => false,
        }
    }

    /// Whether a session has any number of participants, who may all see and use it, besides its visitor and its agent.
    pub fn has_participants(self) -> bool {
        match self {
            Realm::Rooms => true,
            Realm::Support | Realm::Operators | Realm::Widget => false,
        }
    }

    /// Whether a new session is active at once: everybody who answers shares one inbox.
    pub fn opens_active(self) -> bool {
        match self {
            Realm::Widget => true,
            Realm::Support | Realm::Operators | Realm::Rooms => false,
        }
    }

    /// Whether a visitor has at most one open session.
    pub fn keeps_one_open(self) -> bool {
        match self {
            Realm::Support | Realm::Operators => true,
            Realm::Widget | Realm::Rooms => false,
        }
    }

    /// Whether callers without a credential are let in, to act as the visitor of a session whose id they know.
    pub fn admits_guests(self) -> bool {
        match self {
            Realm::Operators | Realm::Widget => true,
            Realm::Support | Realm::Rooms => false,
        }
    }

    /// Whether every agent may see and use every session.
    pub fn shares_sessions(self) -> bool {
        match self {
            Realm::Operators | Realm::Widget => true,
            Realm::Support | Realm::Rooms => false,
        }
    }

    /// Whether an agent who joins a session of another contract that nobody answers takes it by that: where the contract has no call for taking one.
    pub fn takes_by_joining(self) -> bool {
        match self {
            Realm::Support => true,
            Realm::Operators | Realm::Widget | Realm::Rooms => false,
        }
    }

    /// Whether an ended session may be opened again.
    pub fn reopens(self) -> bool {
        match self {
            Realm::Widget => true,
            Realm::Support | Realm::Operators | Realm::Rooms => false,
        }
    }

    /// Whether a visitor who writes after the end is given a fresh session.
    pub fn goes_on_after_end(self) -> bool {
        match self {
            Realm::Operators => true,
            Realm::Support | Realm::Widget | Realm::Rooms => false,
        }
    }

    /// Whether messages bring a session to the top of lists.
    pub fn lists_by_activity(self) -> bool {
        match self {
            Realm::Operators | Realm::Rooms => true,
            Realm::Support | Realm::Widget => false,
        }
    }

    /// Whether who answers has an account with a password.
    pub fn has_accounts(self) -> bool {
        match self {
            Realm::Widget | Realm::Rooms => true,
            Realm::Support | Realm::Operators => false,
        }
    }

    /// Whether who answers signs up for an account without being asked, as far as `ADMIN_SIGNUP` allows.
    pub fn lets_agents_sign_up(self) -> bool {
        match self {
            Realm::Widget => true,
            Realm::Support | Realm::Operators | Realm::Rooms => false,
        }
    }

    /// Whether some of who answer say what the others do.
    pub fn has_admins(self) -> bool {
        match self {
            Realm::Rooms => true,
            Realm::Support | Realm::Operators | Realm::Widget => false,
        }
    }

    /// Whether who proves his password is given a login, which is kept in the store and can be taken back, and not a token.
    pub fn keeps_logins(self) -> bool {
        match self {
            Realm::Rooms => true,
            Realm::Support | Realm::Operators | Realm::Widget => false,
        }
    }

    /// Whether, without a credential, a visitor's open session is found again only from the address that opened it: where guests come with an id
    /// so short that others may guess it.
    pub fn binds_to_address(self, visitor_id: &str) -> bool {
        self.admits_guests() && visitor_id.chars().count() < UNGUESSABLE
    }
}
