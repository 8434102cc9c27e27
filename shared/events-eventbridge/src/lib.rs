//! events-eventbridge
