//! Patterns over the places of a document: JSON pointers with wildcards, compiled into a trie.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

mod walk;

pub(super) use walk::Walk;

/// A JSON pointer (RFC 6901) in which `*` stands for any one step and `**` for any number of steps, none included.
/// `/` alone or nothing is the document itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// A pattern over the segments of a path.
#[derive(Clone, Debug)]
pub(super) struct PathPattern(Vec<Box<str>>);

/// What a policy says of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Treatment {
    /// Only what the detectors find is replaced.
    FreeText,
    /// Kept when it is short, apart from what the detectors find.
    Keep,
    /// Only what the detectors of structured classes find is replaced; never said by a policy of a JSON string.
    Scan,
    /// Replaced as a whole.
    Replace,
}

/// Many patterns, walked together.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    steps: Vec<(Box<[u8]>, u32)>,
    any: Option<u32>,
    /// Where `**` leads.
    deep: Option<u32>,
    /// The node is the inside of `**`: any step leads back to it.
    repeats: bool,
    says: Option<Treatment>,
}

// === impl Pattern ===

impl Pattern {
    fn steps(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').skip(1).filter(|_| self.0 != "/")
    }

    /// The same pattern, split once for all the paths it is compared with.
    pub(super) fn compiled(&self) -> PathPattern {
        PathPattern(self.steps().map(Box::from).collect())
    }
}

impl PathPattern {
    /// Whether it matches the steps of a path.
    pub(super) fn matches(&self, path: &[&str]) -> bool {
        fn go(pattern: &[Box<str>], path: &[&str]) -> bool {
            let Some((step, rest)) = pattern.split_first() else { return path.is_empty() };
            if &**step == "**" {
                return (0..=path.len()).any(|skip| go(rest, &path[skip..]));
            }
            path.split_first()
                .is_some_and(|(head, tail)| (&**step == "*" || &**step == *head) && go(rest, tail))
        }
        go(&self.0, path)
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(format!("`{text}` is not a JSON pointer: it begins with `/`, as in `/{text}`"));
        }
        let bad_escape = text.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1']));
        if bad_escape {
            return Err(format!("`{text}` is not a JSON pointer: write `~0` for `~` and `~1` for `/`"));
        }
        if let Some(step) = text.split('/').find(|step| step.contains("**") && step.len() > 2) {
            return Err(format!("`{step}`: `**` stands for whole steps, so nothing may stand beside it"));
        }
        Ok(Self(text))
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.0
    }
}

// === impl Paths ===

impl Paths {
    /// Where both lists match, free text wins: it is the weaker promise, and a model's input must stay usable.
    pub(super) fn new(free_text: &BTreeSet<Pattern>, keep: &BTreeSet<Pattern>) -> Self {
        let mut paths = Self { nodes: vec![Node::default()] };
        keep.iter().for_each(|p| paths.insert(p, Treatment::Keep));
        free_text.iter().for_each(|p| paths.insert(p, Treatment::FreeText));
        paths
    }

    fn insert(&mut self, pattern: &Pattern, treatment: Treatment) {
        let mut at = 0;
        for step in pattern.steps() {
            at = match step {
                "*" => self.link(at, |node| &mut node.any),
                "**" => {
                    let deep = self.link(at, |node| &mut node.deep);
                    self.nodes[deep].repeats = true;
                    deep
                }
                _ => self.literal(at, step.replace("~1", "/").replace("~0", "~").as_bytes()),
            };
        }
        self.nodes[at].says = Some(treatment);
    }

    fn link(&mut self, from: usize, slot: impl Fn(&mut Node) -> &mut Option<u32>) -> usize {
        let fresh = self.nodes.len() as u32;
        let to = *slot(&mut self.nodes[from]).get_or_insert(fresh);
        if to == fresh {
            self.nodes.push(Node::default());
        }
        to as usize
    }

    fn literal(&mut self, from: usize, step: &[u8]) -> usize {
        if let Some((_, to)) = self.nodes[from].steps.iter().find(|(known, _)| **known == *step) {
            return *to as usize;
        }
        let fresh = self.nodes.len();
        self.nodes[from].steps.push((step.into(), fresh as u32));
        self.nodes.push(Node::default());
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::try_from(text.to_owned()).unwrap()
    }

    fn says(free: &[&str], keep: &[&str], path: &[&str]) -> Treatment {
        let set = |list: &[&str]| list.iter().map(|p| pattern(p)).collect();
        let paths = Paths::new(&set(free), &set(keep));
        let mut walk = Walk::default();
        walk.restart(&paths);
        path.iter().for_each(|step| walk.enter(&paths, step.as_bytes()));
        walk.treatment()
    }

    #[test]
    fn literal_steps_wildcards_and_depth_match() {
        assert_eq!(says(&["/text"], &[], &["text"]), Treatment::FreeText);
        assert_eq!(says(&["/text"], &[], &["text", "0"]), Treatment::Replace);
        assert_eq!(says(&["/inputs/*/*"], &[], &["inputs", "3", "0"]), Treatment::FreeText);
        assert_eq!(says(&[], &["/**/label"], &["label"]), Treatment::Keep);
        assert_eq!(says(&[], &["/**/label"], &["a", "b", "label"]), Treatment::Keep);
        assert_eq!(says(&[], &["/a/**"], &["a", "x", "y"]), Treatment::Keep);
        assert_eq!(says(&[], &["/a/**"], &["b"]), Treatment::Replace);
        assert_eq!(says(&[], &[""], &[]), Treatment::Keep);
        assert_eq!(says(&[], &["/a~1b/~0c"], &["a/b", "~c"]), Treatment::Keep);
    }

    #[test]
    fn free_text_wins_over_keep() {
        assert_eq!(says(&["/*"], &["/label"], &["label"]), Treatment::FreeText);
    }

    #[test]
    fn leaving_restores_the_level_above() {
        let paths = Paths::new(&[pattern("/a/b"), pattern("/c")].into(), &BTreeSet::new());
        let mut walk = Walk::default();
        walk.restart(&paths);
        walk.enter(&paths, b"a");
        walk.enter(&paths, b"b");
        assert_eq!(walk.treatment(), Treatment::FreeText);
        walk.leave();
        assert_eq!(walk.treatment(), Treatment::Replace);
        walk.leave();
        walk.enter(&paths, b"c");
        assert_eq!(walk.treatment(), Treatment::FreeText);
    }

    /// What the patterns say of a path, by the plain reading of each.
    fn says_plainly(free: &[Pattern], keep: &[Pattern], path: &[&str]) -> Treatment {
        let matched = |list: &[Pattern]| list.iter().any(|p| p.compiled().matches(path));
        match (matched(free), matched(keep)) {
            (true, _) => Treatment::FreeText,
            (_, true) => Treatment::Keep,
            _ => Treatment::Replace,
        }
    }

    #[test]
    fn what_a_walk_has_learnt_changes_nothing() {
        let lists = [
            (["/text", "/a/*/b", "/**/c/*", "/x/1"], ["/**", "/a/0/b", "/*/c", "/y/**/z"]),
            (["/a/**/b/**", "/**/a/*/*/b", "/**/b/*/*/*/a", "/b"], ["/0", "/a/-", "/**/a/1", "/c/**"]),
        ];
        for (free, keep) in lists {
            let [free, keep] = [free, keep].map(|list| list.map(pattern));
            let paths = Paths::new(&free.iter().cloned().collect(), &keep.iter().cloned().collect());
            let mut walk = Walk::default();
            // Every path of up to six steps, each element once by name and once by index.
            let steps = ["a", "b", "c", "0", "1", "text", "-"];
            for n in 0..40_000usize {
                let mut rest = n.wrapping_mul(2_654_435_761) % 823_543;
                let path: Vec<&str> = (0..n % 7)
                    .map(|_| {
                        let step = steps[rest % steps.len()];
                        rest /= steps.len();
                        step
                    })
                    .collect();
                walk.restart(&paths);
                for step in &path {
                    match step.parse() {
                        Ok(index) if n % 2 == 0 => walk.enter_element(&paths, index),
                        _ => walk.enter(&paths, step.as_bytes()),
                    }
                }
                assert_eq!(walk.treatment(), says_plainly(&free, &keep, &path), "{path:?}");
            }
        }
    }

    #[test]
    fn a_policy_with_more_places_than_are_kept_is_still_obeyed() {
        let free: Vec<Pattern> = (0..14).map(|n| pattern(&format!("/**/a{}", "/*".repeat(n)))).collect();
        let free = &free[13..];
        let paths = Paths::new(&free.iter().cloned().collect(), &BTreeSet::new());
        let mut walk = Walk::default();
        for n in 0..6000u32 {
            let path: Vec<&str> =
                (0..16).map(|bit| if n >> (bit % 13) & 1 == 1 { "a" } else { "b" }).collect();
            walk.restart(&paths);
            path.iter().for_each(|step| walk.enter(&paths, step.as_bytes()));
            assert_eq!(walk.treatment(), says_plainly(free, &[], &path), "{path:?}");
            walk.leave();
            assert_eq!(walk.treatment(), says_plainly(free, &[], &path[..15]), "{path:?}");
        }
    }

    #[test]
    fn a_step_is_clean_only_where_it_was_said_to_be() {
        let paths = Paths::new(&[pattern("/a/b")].into(), &BTreeSet::new());
        let mut walk = Walk::default();
        walk.restart(&paths);
        assert!(!walk.enter_clean(b"a"));
        walk.enter(&paths, b"a");
        walk.entered_clean(b"a");
        assert!(!walk.enter_clean(b"a"), "in another place");
        walk.restart(&paths);
        assert!(!walk.enter_clean(b"b") && walk.enter_clean(b"a"));
        walk.enter(&paths, b"b");
        assert_eq!(walk.treatment(), Treatment::FreeText);
    }

    #[test]
    fn patterns_match_paths_directly() {
        assert!(pattern("/**/users/*").compiled().matches(&["api", "v1", "users", "7"]));
        assert!(pattern("/**/users/*").compiled().matches(&["users", "7"]));
        assert!(!pattern("/**/users/*").compiled().matches(&["users"]));
        assert!(!pattern("/users/*").compiled().matches(&["v1", "users", "7"]));
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for bad in ["text", "/a~2", "/a**b", "/x~"] {
            assert!(Pattern::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
