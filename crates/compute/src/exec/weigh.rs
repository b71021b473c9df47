//! What a list of instructions comes to: what is dropped when, in which steps it is run,
//! what it holds at most.

use std::ops::Range;
use std::sync::Arc;

use super::planner::Planner;
use super::stage::Stage;
use super::task::{From, Input, Instruction, Task, Weight};
use crate::region::Region;
use crate::source::Cost;

/// Bytes that the steps of one task fetch ahead.
const AHEAD_BYTES: u64 = 32 << 20;
/// Steps that one task fetches ahead.
const AHEAD_STEPS: usize = 16;

impl Planner {
    /// The task, weighed.
    pub(super) fn finish(self, stage: &Arc<Stage>, region: Region) -> Task {
        let frees = self.frees();
        let steps = self.steps();
        let (inputs, states) = self.peak(&frees);
        let mut cost = Cost::default();
        let mut scratch = 0;
        for read in &self.reads {
            for piece in read.pieces() {
                let projected = read.source.project(&piece.region);
                cost += projected;
                scratch = scratch.max(projected.scratch_bytes);
            }
        }
        cost.scratch_bytes = scratch;
        let program = self
            .instructions
            .iter()
            .map(|instruction| match instruction {
                Instruction::Program { maker, .. } => maker.program_bytes(),
                _ => 0,
            })
            .max()
            .unwrap_or(0);
        // A result that is delivered from its slot is counted there.
        let delivered = match self.instructions.last() {
            Some(Instruction::Deliver { slot, .. }) => self.slots[*slot],
            _ => 0,
        };
        let sizes = stage.outputs.iter().map(|output| output.dtype.size());
        let outputs = sizes.sum::<usize>() * region.len();
        let ahead = self.pace.ahead;
        let mut task = Task {
            stage: Arc::clone(stage),
            region,
            reads: self.reads,
            instructions: self.instructions,
            frees,
            steps,
            slots: self.slots,
            n_states: self.n_states,
            weight: Weight {
                cost,
                fetched: 0,
                inputs: inputs as u64,
                states: states as u64,
                outputs: outputs.saturating_sub(delivered) as u64,
                program: program as u64,
            },
            ahead: 1,
        };
        let bytes: Vec<u64> = (0..task.steps.len())
            .map(|step| task.step_bytes(step))
            .collect();
        let held = |ahead: usize| bytes.windows(ahead).map(|few| few.iter().sum()).max();
        let most = if ahead {
            AHEAD_STEPS.min(bytes.len())
        } else {
            1
        };
        task.ahead = (1..=most)
            .rev()
            .find(|&ahead| ahead == 1 || held(ahead).is_none_or(|held: u64| held <= AHEAD_BYTES))
            .unwrap_or(1);
        task.weight.fetched = held(task.ahead).unwrap_or(0);
        task
    }

    /// The slots that nobody needs after each instruction.
    fn frees(&self) -> Vec<Vec<usize>> {
        let mut last: Vec<usize> = vec![0; self.slots.len()];
        for (number, instruction) in self.instructions.iter().enumerate() {
            let mut use_input = |input: &Input| {
                if let From::Slot(slot) = input.from {
                    last[slot] = number;
                }
            };
            match instruction {
                Instruction::Program { inputs, .. } => inputs.iter().for_each(use_input),
                Instruction::Copy { input, .. } | Instruction::Take { input, .. } => {
                    use_input(input);
                }
                Instruction::Run { inputs, .. } => {
                    inputs
                        .iter()
                        .flatten()
                        .for_each(|(input, _)| use_input(input));
                }
                Instruction::Place { from, .. } => last[*from] = number,
                Instruction::Deliver { slot, .. } => last[*slot] = number,
                _ => {}
            }
        }
        let mut frees = vec![Vec::new(); self.instructions.len()];
        for (slot, &number) in last.iter().enumerate() {
            if let Some(frees) = frees.get_mut(number) {
                frees.push(slot);
            }
        }
        frees
    }

    /// Reads go with what follows them up to the next reads.
    fn steps(&self) -> Vec<Range<usize>> {
        let is_read = |number: usize| matches!(self.instructions[number], Instruction::Read { .. });
        let mut steps = Vec::new();
        let mut start = 0;
        for number in 1..self.instructions.len() {
            if is_read(number) && !is_read(number - 1) && (start..number).any(is_read) {
                steps.push(start..number);
                start = number;
            }
        }
        steps.push(start..self.instructions.len());
        steps
    }

    /// Bytes of slots, and of states and whatever else regional functions need,
    /// where both together are most.
    fn peak(&self, frees: &[Vec<usize>]) -> (usize, usize) {
        let mut live = vec![false; self.slots.len()];
        let mut states = vec![0usize; self.n_states];
        let (mut held, mut stated) = (0usize, 0usize);
        let mut most = (0, 0);
        for (number, instruction) in self.instructions.iter().enumerate() {
            let mut besides = 0;
            let made = match instruction {
                Instruction::Read { slot, .. }
                | Instruction::Finish { slot, .. }
                | Instruction::Empty { slot }
                | Instruction::Place { to: slot, .. } => Some(*slot),
                Instruction::Program { slot, .. } | Instruction::Copy { slot, .. } => *slot,
                Instruction::Run {
                    maker,
                    region,
                    inputs,
                    slot,
                } => {
                    let pixels = inputs.iter().flatten().map(|(_, region)| region.len());
                    besides = maker.scratch_bytes(pixels.sum(), region.len());
                    Some(*slot)
                }
                Instruction::Begin {
                    states: number,
                    maker,
                    out,
                } => {
                    states[*number] = maker.scratch_bytes(0, out.len());
                    stated += states[*number];
                    None
                }
                _ => None,
            };
            if let Some(slot) = made
                && !live[slot]
            {
                live[slot] = true;
                held += self.slots[slot];
            }
            if held + stated + besides > most.0 + most.1 {
                most = (held, stated + besides);
            }
            if let Instruction::Finish { states: number, .. } = instruction {
                stated -= std::mem::take(&mut states[*number]);
            }
            for &slot in &frees[number] {
                if std::mem::take(&mut live[slot]) {
                    held -= self.slots[slot];
                }
            }
        }
        most
    }
}
