//! The sum of the gradients of all shards, each computed by one rank.
//!
//! Each rank adds one segment of the parameters: it gets that segment of every shard's gradient, adds them in the order of the
//! shards, and sends the sum to all. With as many shards as ranks that is as many bytes as a reduction in a ring takes, and the
//! order of the sum does not depend on the number of ranks.

use std::ops::{AddAssign, Range};

use ferrompi::{Communicator, MpiDatatype};
use rewind_autograd::{OnTape, Parameters, Scalar, Tensor};

use super::count;
use crate::train::shards::{ShardedStep, add_up};

/// How the ranks of a job add up the gradients of shards.
pub(crate) struct Exchange {
    world: Communicator,
}

/// What all ranks must have in common before they exchange gradients.
const COMMON: [&str; 3] = ["another number of shards", "another number of parameters", "other parameters"];

impl Exchange {
    pub(super) fn new(world: Communicator) -> Self {
        Exchange { world }
    }

    fn rank(&self) -> usize {
        count(self.world.rank())
    }

    fn ranks(&self) -> usize {
        count(self.world.size())
    }

    /// The shards that this rank computes, of so many.
    pub(crate) fn own(&self, shards: usize) -> impl Iterator<Item = usize> + use<> {
        shards_of(self.rank(), self.ranks(), shards)
    }

    /// The losses of all shards and the sum of their gradients, from those of this rank.
    ///
    /// # Panics
    /// If the ranks differ in their parameters or in the number of shards, or one cannot be reached.
    #[track_caller]
    pub(crate) fn add_up<T, M>(&self, module: &M, shards: usize, losses: Vec<T>, gradients: &[M]) -> ShardedStep<T, M>
    where
        T: Scalar,
        M: Parameters<Tensor<T>>,
    {
        let parameters = module.parameter_count();
        self.compare([shards as u64, parameters as u64, digest(&module.leaves())]);
        let flat = |gradient: &M| gradient.leaves().into_iter().flat_map(Tensor::to_vec).collect::<Vec<T>>();
        let gradients: Vec<Vec<T>> = gradients.iter().map(flat).collect();
        // The types that MPI sends. All conversions are exact.
        let (losses, sum) = if T::NAME == "f32" {
            self.exchange(shards, parameters, &losses, &gradients, |x| x.to_f64() as f32, |x| T::from_f64(x.into()))
        } else {
            self.exchange(shards, parameters, &losses, &gradients, T::to_f64, T::from_f64)
        };
        let mut rest = sum.into_iter();
        let mut leaf = |shape: &Vec<usize>| {
            let elements = rest.by_ref().take(shape.iter().product()).collect();
            Tensor::from_vec(elements, shape)
        };
        let gradients = module.map(|_, leaf| leaf.shape().to_vec()).map(|_, shape| leaf(shape));
        ShardedStep { losses, gradients }
    }

    /// Checks that no rank differs from the first.
    #[track_caller]
    fn compare(&self, own: [u64; COMMON.len()]) {
        let mut all = vec![0_u64; own.len() * self.ranks()];
        self.done("compare parameters", self.world.allgather(&own, &mut all));
        for (rank, other) in all.chunks_exact(own.len()).enumerate() {
            if let Some(at) = (0..own.len()).find(|&at| other[at] != all[at]) {
                panic!(
                    "gradients: rank {rank} has {} than rank 0; expected the same module and data on all ranks, from the same \
                     seed or file",
                    COMMON[at]
                );
            }
        }
    }

    /// The losses of all shards and the sum of their gradients, with numbers that travel as `W`.
    #[track_caller]
    fn exchange<T: Scalar, W: MpiDatatype + AddAssign + Default>(
        &self,
        shards: usize,
        parameters: usize,
        losses: &[T],
        gradients: &[Vec<T>],
        pack: impl Fn(T) -> W,
        unpack: impl Fn(W) -> T,
    ) -> (Vec<T>, Vec<T>) {
        let ranks = self.ranks();
        let segment = |rank: usize| segment_of(rank, ranks, parameters);
        // To every rank: its segment of each shard's gradient, each with the shard's loss before it.
        let mut sent = Vec::with_capacity(gradients.len() * (parameters + ranks));
        for rank in 0..ranks {
            for (&loss, gradient) in losses.iter().zip(gradients) {
                sent.push(pack(loss));
                sent.extend(gradient[segment(rank)].iter().map(|&x| pack(x)));
            }
        }
        let own = segment(self.rank()).len() + 1;
        let to = blocks((0..ranks).map(|rank| gradients.len() * (segment(rank).len() + 1)));
        let from = blocks((0..ranks).map(|rank| shards_of(rank, ranks, shards).count() * own));
        let mut received = vec![W::default(); shards * own];
        let exchanged = self.world.alltoallv(&sent, &to.counts, &to.starts, &mut received, &from.counts, &from.starts);
        self.done("exchange gradients", exchanged);

        // In the order of the shards, which arrive in the order of the ranks.
        let mut by_shard: Vec<_> = vec![Vec::new(); shards];
        let order = (0..ranks).flat_map(|rank| shards_of(rank, ranks, shards));
        order.zip(received.chunks_exact(own)).for_each(|(shard, block)| by_shard[shard] = block.to_vec());
        let losses = by_shard.iter().map(|block| unpack(block[0])).collect();
        add_up(&mut by_shard, |sum, other| sum.iter_mut().zip(other).for_each(|(sum, &x)| *sum += x));

        let mut sum = vec![W::default(); parameters];
        let from = blocks((0..ranks).map(|rank| segment(rank).len()));
        let gathered = self.world.allgatherv(&by_shard[0][1..], &mut sum, &from.counts, &from.starts);
        self.done("gather the sum of gradients", gathered);
        (losses, sum.into_iter().map(unpack).collect())
    }

    #[track_caller]
    fn done(&self, what: &str, result: ferrompi::Result<()>) {
        if let Err(error) = result {
            panic!("gradients: rank {} cannot {what}: {error}", self.rank());
        }
    }
}

/// The shards of a rank: of its own number, and every `ranks`-th after it.
pub(super) fn shards_of(rank: usize, ranks: usize, shards: usize) -> impl Iterator<Item = usize> {
    (rank..shards).step_by(ranks)
}

/// The parameters that a rank adds.
fn segment_of(rank: usize, ranks: usize, parameters: usize) -> Range<usize> {
    let start = |rank: usize| (parameters as u128 * rank as u128 / ranks as u128) as usize;
    start(rank)..start(rank + 1)
}

/// Where the data of each rank is in a buffer.
pub(super) struct Blocks {
    pub(super) counts: Vec<i32>,
    pub(super) starts: Vec<i32>,
}

/// Blocks of these lengths, one after the other.
#[track_caller]
pub(super) fn blocks(lengths: impl Iterator<Item = usize>) -> Blocks {
    let number = |x: usize| {
        i32::try_from(x).expect("ranks: MPI counts fewer than 2^31 numbers in a buffer; more ranks need less each")
    };
    let mut end = 0;
    let one = |length| {
        end += length;
        (number(length), number(end - length))
    };
    let (counts, starts) = lengths.map(one).unzip();
    Blocks { counts, starts }
}

/// A number that differs for other bits: FNV-1a over 64-bit words.
fn digest<T: Scalar>(leaves: &[&Tensor<T>]) -> u64 {
    let elements = leaves.iter().flat_map(|leaf| leaf.to_vec());
    elements.fold(0xcbf2_9ce4_8422_2325, |hash, x| (hash ^ x.to_f64().to_bits()).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_shards_cover_everything_once() {
        for ranks in 1..9 {
            for count in [0, 1, 7, 33] {
                let segments = (0..ranks).flat_map(|rank| segment_of(rank, ranks, count));
                assert!(segments.eq(0..count), "{count} parameters on {ranks} ranks");
                let mut shards: Vec<_> = (0..ranks).flat_map(|rank| shards_of(rank, ranks, count)).collect();
                shards.sort_unstable();
                assert!(shards.into_iter().eq(0..count), "{count} shards on {ranks} ranks");
            }
        }
    }

    #[test]
    fn a_digest_tells_one_bit() {
        let leaf = Tensor::from_vec(vec![0.5_f32, -1.0, 3.0], &[3]);
        let mut other = leaf.clone();
        other.as_mut_slice()[1] = -1.0 - f32::EPSILON;
        assert_eq!(digest(&[&leaf]), digest(&[&leaf.clone()]));
        assert_ne!(digest(&[&leaf]), digest(&[&other]));
    }
}
