//! Programs with the kernels of every machine, beside the naive evaluator: the same bits.

use datacube_model::DType;

use super::compile::{BLOCK, Compiled, Port};
use super::kernel::Simd;
use super::layout::Layout;
use super::naive::{self, Operand};
use super::select::select;
use super::{Builder, Program};
use crate::buffer::Buffer;
use crate::plan::{Arg, Binary, Func, Unary};
use crate::value::Const;

fn value(number: u32) -> Arg {
    Arg::Value(number)
}

/// Runs a program over `n` pixels, compiled for each level and naively.
fn check(program: &Program, inputs: &[Buffer], n: usize) {
    let mut values: Vec<Buffer> = Vec::new();
    for step in program.steps() {
        let operands: Vec<Operand<'_>> = step
            .args
            .iter()
            .map(|&arg| match arg {
                Arg::Const(value) => Operand::Const(value),
                Arg::Value(number) => {
                    let at = number as usize;
                    let buffer = match at.checked_sub(inputs.len()) {
                        None => &inputs[at],
                        Some(step) => &values[step],
                    };
                    Operand::Pixels(program.dtype(number), buffer)
                }
            })
            .collect();
        let out = naive::apply(step.func, &operands, n).unwrap();
        values.push(out);
    }
    let layout = Layout::contiguous(n);
    for simd in [Simd::Baseline, Simd::detect()] {
        let compiled = Compiled::new(program, simd).unwrap();
        let mut outs: Vec<Buffer> = (0..program.outputs().len())
            .map(|number| Buffer::zeroed(n * program.output_dtype(number).size()).unwrap())
            .collect();
        let mut scratch = Buffer::zeroed(compiled.scratch_bytes()).unwrap();
        let ins: Vec<Port<'_>> = inputs
            .iter()
            .map(|input| Port {
                ptr: input.as_ptr().cast_mut(),
                layout: &layout,
            })
            .collect();
        let ports: Vec<Port<'_>> = outs
            .iter_mut()
            .map(|out| Port {
                ptr: out.as_mut_ptr(),
                layout: &layout,
            })
            .collect();
        // SAFETY: buffers of n pixels of the program's types.
        unsafe { compiled.run(&ins, &ports, &mut scratch).unwrap() };
        for (out, &number) in outs.iter().zip(program.outputs()) {
            let expected = match (number as usize).checked_sub(inputs.len()) {
                None => &inputs[number as usize],
                Some(step) => &values[step],
            };
            assert_eq!(out[..], expected[..], "{program:?}");
        }
    }
}

#[test]
fn masked_ndvi_is_two_kernels() {
    use DType::{Float32, UInt16};
    let mut builder = Builder::new(vec![UInt16, UInt16, UInt16]);
    let test = Func::MaskTest {
        mask: 0b1001,
        value: 1,
    };
    let clear = builder.step(test, vec![value(2)]).unwrap();
    let nan = Arg::Const(Const::nan(Float32));
    let mut masked = |band: u32| {
        let float = builder
            .step(Func::Cast(Float32), vec![value(band)])
            .unwrap();
        builder.step(Func::Where, vec![clear, float, nan]).unwrap()
    };
    let (red, nir) = (masked(0), masked(1));
    let mut op = |op, a, b| builder.step(Func::Binary(op), vec![a, b]).unwrap();
    let (difference, sum) = (op(Binary::Sub, nir, red), op(Binary::Add, nir, red));
    let ndvi = op(Binary::Div, difference, sum);
    let program = builder.finish(&[ndvi]).unwrap();
    assert_eq!(program.steps().len(), 8);
    assert_eq!(select(&program, Simd::Baseline).unwrap().len(), 2);
    let n = 3 * BLOCK + 17;
    let band = |seed: u16| {
        let pixels: Vec<u16> = (0..n)
            .map(|i| u16::try_from(i % 65521).unwrap().wrapping_mul(seed) / 7)
            .collect();
        Buffer::from_slice(&pixels).unwrap()
    };
    check(&program, &[band(3), band(11), band(29)], n);
}

/// Bands of 3 types, as they are, converted and masked, with what is
/// between also read by others: the kernels differ, the pixels may not.
#[test]
fn normalised_differences_are_the_same_in_one_kernel_as_in_many() {
    use DType::{Bool, Float32, Float64, Int16, UInt8};
    let n = BLOCK + 29;
    let bytes: Vec<u8> = (0..n).map(|i| u8::try_from(i * 7 % 256).unwrap()).collect();
    let floats: Vec<f32> = (0..n)
        .map(|i| match i % 9 {
            0 => f32::NAN,
            1 => f32::INFINITY,
            2 => 0.0,
            _ => f32::from(u16::try_from(i).unwrap()) / 3.0 - 200.0,
        })
        .collect();
    let shorts: Vec<i16> = (0..n)
        .map(|i| i16::try_from(i * 31 % 60000).unwrap_or(-3))
        .collect();
    let truths: Vec<bool> = (0..n).map(|i| i % 3 != 0).collect();
    let bands = [
        (UInt8, Buffer::from_slice(&bytes), Float32, 1),
        (Int16, Buffer::from_slice(&shorts), Float32, 1),
        (Int16, Buffer::from_slice(&shorts), Float64, 1),
        (Float32, Buffer::from_slice(&floats), Float32, 1),
        // Converted by a kernel of its own: no kernel does that pair.
        (UInt8, Buffer::from_slice(&bytes), Float64, 3),
    ];
    for (from, first, to, kernels) in bands {
        let first = first.unwrap();
        let mut second = Buffer::zeroed(first.len()).unwrap();
        let size = from.size();
        for (to, from) in second.chunks_exact_mut(size).zip(first.rchunks_exact(size)) {
            to.copy_from_slice(from);
        }
        let condition = Buffer::from_slice(&truths).unwrap();
        let inputs = [first, second, condition];
        for (masked, swapped, shared, other) in [
            (false, false, false, 0.0),
            (true, false, false, f32::NAN),
            (true, true, false, -999.0),
            (true, false, true, f32::NAN),
            (false, true, true, 0.0),
        ] {
            let mut builder = Builder::new(vec![from, from, Bool]);
            let other = match to {
                Float64 => Const::new(f64::from(other)),
                _ => Const::new(other),
            };
            let mut band = |number: u32| {
                let mut band = value(number);
                if from != to {
                    band = builder.step(Func::Cast(to), vec![band]).unwrap();
                }
                if masked {
                    let args = vec![value(2), band, Arg::Const(other)];
                    band = builder.step(Func::Where, args).unwrap();
                }
                band
            };
            let (a, b) = (band(0), band(1));
            let mut op = |op, a, b| builder.step(Func::Binary(op), vec![a, b]).unwrap();
            let difference = op(Binary::Sub, a, b);
            let (c, d) = if swapped { (b, a) } else { (a, b) };
            let sum = op(Binary::Add, c, d);
            let index = op(Binary::Div, difference, sum);
            let outputs = if shared {
                vec![index, sum]
            } else {
                vec![index]
            };
            let program = builder.finish(&outputs).unwrap();
            let found = select(&program, Simd::detect()).unwrap().len();
            if !shared {
                assert_eq!(found, kernels, "{from} to {to}, masked {masked}");
            }
            check(&program, &inputs, n);
        }
    }
}

#[test]
fn outputs_that_are_inputs_shared_or_constant() {
    use DType::Float64;
    let mut builder = Builder::new(vec![Float64]);
    let two = Arg::Const(Const::new(2.0f64));
    let double = builder
        .step(Func::Binary(Binary::Mul), vec![value(0), two])
        .unwrap();
    let root = builder
        .step(Func::Unary(Unary::Sqrt), vec![double])
        .unwrap();
    let program = builder
        .finish(&[double, value(0), root, double, two])
        .unwrap();
    let pixels: Vec<f64> = (0..5000).map(|i| f64::from(i) - 100.0).collect();
    check(
        &program,
        &[Buffer::from_slice(&pixels).unwrap()],
        pixels.len(),
    );
}

#[test]
fn joined_arithmetic_rounds_as_apart() {
    use Binary::{Add, Div, Mul, Sub};
    use DType::Float32;
    let pixels = |scale: f32| {
        let pixels: Vec<f32> = (0..2500u16)
            .map(|i| (f32::from(i) - 1200.0) * scale / 3.0)
            .collect();
        Buffer::from_slice(&pixels).unwrap()
    };
    let inputs = [pixels(0.1), pixels(7.3), pixels(1e-3), pixels(33.0)];
    for first in [Add, Sub, Mul, Div] {
        for second in [Add, Sub, Mul, Div] {
            for third in [Add, Sub, Mul, Div] {
                let mut builder = Builder::new(vec![Float32; 4]);
                let mut op = |op, a, b| builder.step(Func::Binary(op), vec![a, b]).unwrap();
                let (a, b) = (op(first, value(0), value(1)), op(third, value(2), value(3)));
                let tree = op(second, a, b);
                let inner = op(second, value(0), value(3));
                let left = op(first, inner, value(2));
                let inner = op(third, value(0), value(2));
                let right = op(first, value(1), inner);
                let program = builder.finish(&[tree, left, right]).unwrap();
                check(&program, &inputs, 2500);
            }
        }
    }
}
