//! Walks the patterns of a policy beside a document.
//!
//! A place of the document is a set of nodes of the trie. Sets are numbered as they are met, and the steps between them
//! remembered, so that after the first few documents a key costs one look-up, whatever the number of patterns.

use std::collections::HashMap;

use super::{Paths, Treatment};
use crate::sanitize::known::slot;

/// Sets of nodes kept at once. Patterns with many `**` may lead to more; then everything is forgotten and met anew.
const MAX_STATES: usize = 1024;

/// Steps remembered at once; two that meet in a slot take turns. A power of two.
const EDGES: usize = 512;

/// Longer keys are not remembered.
const LONGEST_STEP: usize = 64;

/// The state of the document itself.
const START: u32 = 0;

/// Where a walk through a document stands, and what it has learnt of the patterns.
#[derive(Clone, Debug, Default)]
pub(in crate::sanitize) struct Walk {
    states: Vec<State>,
    numbers: HashMap<Box<[u32]>, u32>,
    edges: Vec<Option<Edge>>,
    /// The state of each level, the innermost last.
    levels: Vec<u32>,
}

/// A set of nodes.
#[derive(Clone, Debug)]
struct State {
    nodes: Box<[u32]>,
    says: Treatment,
    elements: Elements,
}

/// Where the elements of an array lead.
#[derive(Clone, Copy, Debug)]
enum Elements {
    /// All to one state, not yet known.
    Alike,
    To(u32),
    /// A pattern names one by its index.
    ByIndex,
}

/// A step that was made before.
#[derive(Clone, Debug)]
struct Edge {
    from: u32,
    step: Box<[u8]>,
    to: u32,
    /// The detectors find nothing in the step itself.
    clean: bool,
}

// === impl Walk ===

impl Walk {
    /// Starts at the document itself.
    pub(in crate::sanitize) fn restart(&mut self, paths: &Paths) {
        if self.states.is_empty() {
            self.edges = vec![None; EDGES];
            self.begin(paths);
        }
        self.levels.clear();
        self.levels.push(START);
    }

    /// Goes into the member named `step`.
    pub(in crate::sanitize) fn enter(&mut self, paths: &Paths, step: &[u8]) {
        let at = slot(self.top(), step, EDGES);
        if let Some(edge) = self.edges[at].as_ref().filter(|edge| edge.is(self.top(), step)) {
            self.levels.push(edge.to);
            return;
        }
        let to = self.follow(paths, step);
        if step.len() <= LONGEST_STEP {
            self.edges[at] = Some(Edge { from: self.top(), step: step.into(), to, clean: false });
        }
        self.levels.push(to);
    }

    /// Goes into the member named `step` if it was said to be clean ([`Walk::entered_clean`]) and is remembered.
    pub(in crate::sanitize) fn enter_clean(&mut self, step: &[u8]) -> bool {
        let edge = self.edges[slot(self.top(), step, EDGES)].as_ref();
        match edge.filter(|edge| edge.clean && edge.is(self.top(), step)) {
            Some(edge) => {
                self.levels.push(edge.to);
                true
            }
            None => false,
        }
    }

    /// Says that the detectors find nothing in the step that was just entered.
    pub(in crate::sanitize) fn entered_clean(&mut self, step: &[u8]) {
        let Some(from) = self.levels.iter().rev().nth(1).copied() else { return };
        if let Some(edge) = &mut self.edges[slot(from, step, EDGES)] {
            edge.clean |= edge.is(from, step);
        }
    }

    /// Goes into an element of an array.
    pub(in crate::sanitize) fn enter_element(&mut self, paths: &Paths, index: usize) {
        match self.states[self.top() as usize].elements {
            Elements::To(to) => self.levels.push(to),
            Elements::Alike => {
                // No pattern has this step, so it leads where all indices do.
                let to = self.follow(paths, b"-");
                let top = self.top();
                self.states[top as usize].elements = Elements::To(to);
                self.levels.push(to);
            }
            Elements::ByIndex => self.enter(paths, itoa::Buffer::new().format(index).as_bytes()),
        }
    }

    /// Goes back out.
    pub(in crate::sanitize) fn leave(&mut self) {
        self.levels.pop();
    }

    /// What the policy says of a string here.
    pub(in crate::sanitize) fn treatment(&self) -> Treatment {
        self.states[self.top() as usize].says
    }

    fn top(&self) -> u32 {
        self.levels.last().copied().unwrap_or(START)
    }

    /// The state behind a step from the present one.
    fn follow(&mut self, paths: &Paths, step: &[u8]) -> u32 {
        let mut nodes = Vec::new();
        for at in &self.states[self.top() as usize].nodes {
            let node = &paths.nodes[*at as usize];
            if let Some((_, next)) = node.steps.iter().find(|(known, _)| **known == *step) {
                activate(paths, *next, &mut nodes);
            }
            if let Some(next) = node.any {
                activate(paths, next, &mut nodes);
            }
            if node.repeats {
                activate(paths, *at, &mut nodes);
            }
        }
        if let Some(known) = self.numbers.get(&nodes[..]) {
            return *known;
        }
        if self.states.len() >= MAX_STATES {
            self.forget(paths);
        }
        self.number(paths, nodes.into())
    }

    fn begin(&mut self, paths: &Paths) {
        let mut nodes = Vec::new();
        activate(paths, 0, &mut nodes);
        self.number(paths, nodes.into());
    }

    /// Forgets all states but those that the walk stands in.
    fn forget(&mut self, paths: &Paths) {
        let levels: Vec<_> = self.levels.iter().map(|at| self.states[*at as usize].nodes.clone()).collect();
        self.states.clear();
        self.numbers.clear();
        self.edges.fill(None);
        self.begin(paths);
        self.levels = levels.into_iter().map(|nodes| self.number(paths, nodes)).collect();
    }

    fn number(&mut self, paths: &Paths, nodes: Box<[u32]>) -> u32 {
        if let Some(known) = self.numbers.get(&nodes) {
            return *known;
        }
        let number = self.states.len() as u32;
        let named = |at: &u32| &paths.nodes[*at as usize];
        let is_index = |step: &[u8]| step.iter().all(u8::is_ascii_digit);
        let by_index =
            nodes.iter().flat_map(|at| &named(at).steps).any(|(step, _)| is_index(step) || **step == *b"-");
        self.states.push(State {
            says: nodes.iter().filter_map(|at| named(at).says).min().unwrap_or(Treatment::Replace),
            elements: if by_index { Elements::ByIndex } else { Elements::Alike },
            nodes: nodes.clone(),
        });
        self.numbers.insert(nodes, number);
        number
    }
}

/// Adds a node and what `**` reaches from it.
fn activate(paths: &Paths, at: u32, nodes: &mut Vec<u32>) {
    if nodes.contains(&at) {
        return;
    }
    nodes.push(at);
    if let Some(deep) = paths.nodes[at as usize].deep {
        activate(paths, deep, nodes);
    }
}

// === impl Edge ===

impl Edge {
    fn is(&self, from: u32, step: &[u8]) -> bool {
        self.from == from && *self.step == *step
    }
}
