//! Where the pixels of a region lie in a buffer: strides, positions, repeats.
//!
//! A region is walked in C order as one line. Where neighbours on that line are
//! neighbours in the buffer it is read or written in place; everything else
//! (a step, a reversal, a list, a repeated axis, a window of a larger array)
//! passes block by block through a register of the program.

/// Pixels of a region in a buffer.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Index in the buffer of the region's first pixel, but for tables.
    base: isize,
    axes: Vec<Axis>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Axis {
    len: usize,
    step: Step,
}

/// What a step along an axis of the region is in the buffer.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// So many pixels on; 0 repeats.
    By(isize),
    /// To these places, in pixels.
    To(Vec<isize>),
}

impl Layout {
    /// The layout of a region of `shape`, whose first pixel is at `base`.
    pub(crate) fn new(base: isize, shape: &[usize], steps: Vec<Step>) -> Layout {
        debug_assert_eq!(shape.len(), steps.len());
        let len = shape.iter().product();
        let mut axes: Vec<Axis> = Vec::with_capacity(shape.len());
        for (&len, step) in shape.iter().zip(steps) {
            let last = axes.last_mut();
            match (last, step) {
                // An axis of one pixel is no axis.
                (_, Step::By(_)) if len == 1 => {}
                // Two axes that follow each other in memory are one.
                (
                    Some(Axis {
                        len: outer,
                        step: Step::By(by),
                    }),
                    Step::By(step),
                ) if *by == step * len.cast_signed() => {
                    *outer *= len;
                    *by = step;
                }
                (_, step) => axes.push(Axis { len, step }),
            }
        }
        Layout { base, axes, len }
    }

    /// A whole buffer in C order.
    pub(crate) fn contiguous(len: usize) -> Layout {
        Layout::new(0, &[len], vec![Step::By(1)])
    }

    /// A window of an array with these strides, in pixels.
    pub(crate) fn window(shape: &[usize], strides: &[usize]) -> Layout {
        Layout::new(
            0,
            shape,
            strides
                .iter()
                .map(|&by| Step::By(by.cast_signed()))
                .collect(),
        )
    }

    /// Number of pixels.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where the pixels start, if they lie one after the other.
    pub(crate) fn start_if_contiguous(&self) -> Option<isize> {
        match self.axes.as_slice() {
            [] => Some(self.base),
            [
                Axis {
                    step: Step::By(1), ..
                },
            ] => Some(self.base),
            _ => None,
        }
    }

    /// Calls `run` for runs of pixels of the line from `start` on, `n` in all:
    /// place in the buffer, distance between neighbours, how many.
    fn runs(&self, start: usize, n: usize, mut run: impl FnMut(isize, isize, usize)) {
        if n == 0 {
            return;
        }
        let Some((last, outer)) = self.axes.split_last() else {
            run(self.base, 0, n);
            return;
        };
        let mut rest = start;
        let mut at = rest % last.len;
        rest /= last.len;
        let mut index = vec![0usize; outer.len()];
        for (i, axis) in outer.iter().enumerate().rev() {
            index[i] = rest % axis.len;
            rest /= axis.len;
        }
        let mut left = n;
        while left > 0 {
            let row = self.base
                + outer
                    .iter()
                    .zip(&index)
                    .map(|(axis, &i)| axis.step.offset(i))
                    .sum::<isize>();
            let count = left.min(last.len - at);
            match &last.step {
                Step::By(by) => run(row + by * at.cast_signed(), *by, count),
                Step::To(places) => {
                    for place in &places[at..at + count] {
                        run(row + place, 0, 1);
                    }
                }
            }
            left -= count;
            at = 0;
            for (i, axis) in outer.iter().enumerate().rev() {
                index[i] += 1;
                if index[i] < axis.len {
                    break;
                }
                index[i] = 0;
            }
        }
    }

    /// Copies `n` pixels of `size` bytes, from `start` of the line on, out of
    /// the buffer at `from` to `to`.
    ///
    /// # Safety
    /// The pixels of the layout have to lie within the buffer at `from`, and
    /// `to` has to be valid for `n` of them, elsewhere.
    pub(crate) unsafe fn gather(
        &self,
        from: *const u8,
        start: usize,
        n: usize,
        size: usize,
        to: *mut u8,
    ) {
        let mut done = 0;
        self.runs(start, n, |place, by, count| {
            // SAFETY: `runs` gives places of the layout, `n` in all.
            unsafe {
                let to = to.add(done * size);
                let from = from.offset(place * size.cast_signed());
                copy_run(from, by, to, 1, count, size);
            }
            done += count;
        });
    }

    /// Copies `n` pixels of `size` bytes from `from` to where they belong in
    /// the buffer at `to`, from `start` of the line on.
    ///
    /// # Safety
    /// As [`Layout::gather`], with the buffer at `to`; no two pixels of the
    /// layout may be one.
    pub(crate) unsafe fn scatter(
        &self,
        from: *const u8,
        start: usize,
        n: usize,
        size: usize,
        to: *mut u8,
    ) {
        let mut done = 0;
        self.runs(start, n, |place, by, count| {
            // SAFETY: as in `gather`.
            unsafe {
                let from = from.add(done * size);
                let to = to.offset(place * size.cast_signed());
                copy_run(from, 1, to, by, count, size);
            }
            done += count;
        });
    }
}

impl Step {
    fn offset(&self, index: usize) -> isize {
        match self {
            Step::By(by) => by * index.cast_signed(),
            Step::To(places) => places[index],
        }
    }
}

/// Copies pixels at a distance of `from_by` to a distance of `to_by`.
///
/// # Safety
/// Both have to be valid for `count` pixels of `size` bytes at their distance.
unsafe fn copy_run(
    from: *const u8,
    from_by: isize,
    to: *mut u8,
    to_by: isize,
    count: usize,
    size: usize,
) {
    /// # Safety
    /// As `copy_run`, and aligned for `T`.
    unsafe fn typed<T: Copy>(
        from: *const T,
        from_by: isize,
        to: *mut T,
        to_by: isize,
        count: usize,
    ) {
        for i in 0..count.cast_signed() {
            // SAFETY: the caller vouches for each of the pixels.
            unsafe { *to.offset(i * to_by) = *from.offset(i * from_by) };
        }
    }
    // SAFETY: what the caller vouches for; pixels are aligned to their size, of
    // 16 bytes to 8.
    unsafe {
        if from_by == 1 && to_by == 1 {
            std::ptr::copy_nonoverlapping(from, to, count * size);
            return;
        }
        match size {
            1 => typed::<u8>(from, from_by, to, to_by, count),
            2 => typed::<u16>(from.cast(), from_by, to.cast(), to_by, count),
            4 => typed::<u32>(from.cast(), from_by, to.cast(), to_by, count),
            8 => typed::<u64>(from.cast(), from_by, to.cast(), to_by, count),
            _ => typed::<[u64; 2]>(from.cast(), from_by, to.cast(), to_by, count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gathers in blocks of 3 and compares with indexing one by one.
    fn check(layout: &Layout, expected: &[u16]) {
        let buffer: Vec<u16> = (0..60).collect();
        let mut out = vec![0u16; expected.len()];
        let mut start = 0;
        while start < expected.len() {
            let n = 3.min(expected.len() - start);
            let to = out[start..].as_mut_ptr().cast();
            // SAFETY: the layouts of these tests lie within 60 pixels.
            unsafe { layout.gather(buffer.as_ptr().cast(), start, n, 2, to) };
            start += n;
        }
        assert_eq!(out, expected);
        assert_eq!(layout.len(), expected.len());
    }

    #[test]
    fn gathering() {
        let plain = Layout::new(0, &[3, 4], vec![Step::By(4), Step::By(1)]);
        assert_eq!(plain.start_if_contiguous(), Some(0));
        check(&plain, &(0..12).collect::<Vec<_>>());
        let window = Layout::new(11, &[2, 3], vec![Step::By(10), Step::By(1)]);
        assert_eq!(window.start_if_contiguous(), None);
        check(&window, &[11, 12, 13, 21, 22, 23]);
        check(
            &Layout::new(5, &[2, 3], vec![Step::By(0), Step::By(-2)]),
            &[5, 3, 1, 5, 3, 1],
        );
        let listed = Layout::new(10, &[2, 3], vec![Step::By(10), Step::To(vec![4, 0, 4])]);
        check(&listed, &[14, 10, 14, 24, 20, 24]);
        check(
            &Layout::new(7, &[1, 2, 1], vec![Step::By(9), Step::By(0), Step::By(3)]),
            &[7, 7],
        );
        check(&Layout::new(7, &[], vec![]), &[7]);
        check(
            &Layout::new(7, &[1, 1], vec![Step::By(9), Step::By(1)]),
            &[7],
        );
        check(
            &Layout::new(7, &[0, 3], vec![Step::By(9), Step::By(1)]),
            &[],
        );
    }

    #[test]
    fn scattering() {
        let layout = Layout::window(&[2, 2], &[4, 1]);
        let mut buffer = [0u8; 8];
        // SAFETY: the layout reaches to pixel 5 of 8.
        unsafe { layout.scatter([1u8, 2, 3, 4].as_ptr(), 0, 4, 1, buffer.as_mut_ptr()) };
        assert_eq!(buffer, [1, 2, 0, 0, 3, 4, 0, 0]);
    }
}
