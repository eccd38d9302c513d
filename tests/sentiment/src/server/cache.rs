//! Answers given before, as the real service keeps them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::sentiment::Answer;

/// First in, first out, by text.
#[derive(Debug)]
pub(crate) struct Cache {
    capacity: usize,
    answers: HashMap<String, (Answer, Duration)>,
    order: VecDeque<String>,
}

// === impl Cache ===

impl Cache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, answers: HashMap::new(), order: VecDeque::new() }
    }

    /// The answer to `text` and the length of the call that found it.
    pub(crate) fn get(&self, text: &str) -> Option<(Answer, Duration)> {
        self.answers.get(text).copied()
    }

    pub(crate) fn insert(&mut self, text: &str, answer: Answer, inference: Duration) {
        if self.capacity == 0 || self.answers.insert(text.to_owned(), (answer, inference)).is_some() {
            return;
        }
        self.order.push_back(text.to_owned());
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
    }

    /// Answers kept, and the most that are.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.order.len(), self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentiment::Label;

    #[test]
    fn the_oldest_answer_is_forgotten_first() {
        let answer = Answer { label: Label::Positive, score: 0.9 };
        let mut cache = Cache::new(2);
        for text in ["one", "two", "one", "three"] {
            cache.insert(text, answer, Duration::from_millis(1));
        }
        assert_eq!(cache.size(), (2, 2));
        assert!(cache.get("one").is_none());
        assert!(cache.get("two").is_some() && cache.get("three").is_some());
    }

    #[test]
    fn a_cache_of_none_keeps_nothing() {
        let mut cache = Cache::new(0);
        cache.insert("one", Answer { label: Label::Positive, score: 0.9 }, Duration::ZERO);
        assert!(cache.get("one").is_none());
    }
}
