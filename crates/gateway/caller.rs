//! What a client calls itself: nearly always what it called itself in the request before, so that its heads are read
//! once.

use std::cell::{Cell, Ref, RefCell};

use wire::head::{self, RequestHead};
use wire::request;

/// The client id of a connection, as its last head said.
#[derive(Default)]
pub struct Caller {
    client_id: RefCell<Box<str>>,
    /// The same as it stood in the head, with its length; empty where the next head has to be read all the same.
    field: RefCell<Box<[u8]>>,
    is_admin: Cell<bool>,
}

impl Caller {
    /// The client id; empty where there is none.
    pub fn client_id(&self) -> Ref<'_, Box<str>> {
        self.client_id.borrow()
    }

    /// Whether it claims to be Kafka's own administration client.
    pub fn is_admin(&self) -> bool {
        self.is_admin.get()
    }

    /// Whether the head of `frame` has the same client id as the one before.
    #[inline]
    pub fn sent(&self, frame: &[u8]) -> bool {
        let field = self.field.borrow();
        let behind = frame.get(head::REQUEST_PREFIX_BYTES..).unwrap_or_default();
        !field.is_empty() && behind.starts_with(&field)
    }

    /// Where the body of a frame begins whose head has the same client id; `None` where its head has to be read.
    #[inline]
    pub fn body_at(&self, frame: &[u8], is_flexible: bool) -> Option<usize> {
        let behind = head::REQUEST_PREFIX_BYTES + self.field.borrow().len();
        if !is_flexible {
            return Some(behind);
        }
        (frame.get(behind) == Some(&0)).then_some(behind + 1)
    }

    /// Takes what a head says; tells whether the client id is another one than before.
    pub fn called(&self, head: &RequestHead<'_>) -> bool {
        let client_id = head.client_id.unwrap_or_default();
        self.is_admin.set(request::is_admin_client(client_id));
        *self.field.borrow_mut() = if self.is_admin() { Box::default() } else { head.client_id_field.into() };
        let client_id = String::from_utf8_lossy(client_id);
        let is_another = **self.client_id.borrow() != *client_id;
        if is_another {
            *self.client_id.borrow_mut() = client_id.into();
        }
        is_another
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn frame(client_id: &[u8]) -> Vec<u8> {
        let size = i16::try_from(client_id.len()).unwrap().to_be_bytes();
        [&[0, 1, 0, 11, 0, 0, 0, 7], &size[..], client_id, &[0], b"body"].concat()
    }

    #[test]
    fn a_head_is_known_by_who_sent_the_one_before() {
        let caller = Caller::default();
        let (mine, longer) = (frame(b"mine"), frame(b"mine2"));
        assert!(!caller.sent(&mine));
        let head = head::request_head(&mine, true).unwrap().unwrap();
        assert!(caller.called(&head) && !caller.called(&head));
        assert!(caller.sent(&mine) && !caller.sent(&longer) && !caller.sent(&mine[..12]));
        assert_eq!(caller.body_at(&mine, true), Some(head.body_at));
        assert_eq!(caller.body_at(&mine, false), Some(head.body_at - 1));
    }

    #[test]
    fn a_head_with_tags_and_one_of_the_administration_client_are_read() {
        let caller = Caller::default();
        let mut tagged = frame(b"mine");
        caller.called(&head::request_head(&tagged, true).unwrap().unwrap());
        tagged[14] = 1;
        assert_eq!(caller.body_at(&tagged, true), None);
        let admin = frame(b"__admin_client");
        caller.called(&head::request_head(&admin, true).unwrap().unwrap());
        assert!(caller.is_admin() && !caller.sent(&admin));
    }
}
