"""What numba compiles for swarms on a CPU: an iteration in one pass over memory, and random bits."""
# mypy: allow-untyped-defs

import numpy as np
from numba import njit

GOLDEN, FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
HALF, STEP = 2.0**15 + 0.5, 2.0**-16  # an int16 of random bits stands for (bits + HALF) * STEP, in (0, 1)


@njit(nogil=True, error_model="numpy")
def fill(words, seed):
    """Random 64-bit words: SplitMix64 (Steele, Lea and Flood 2014), whose numbers are a hash of their place."""
    for i in range(words.size):
        z = seed + np.uint64(i + 1) * GOLDEN
        z = (z ^ (z >> np.uint64(30))) * FIRST
        z = (z ^ (z >> np.uint64(27))) * SECOND
        words[i] = z ^ (z >> np.uint64(31))


@njit(nogil=True, error_model="numpy")
def note(x, own, own_loss, best, best_loss, near, own_distance, best_distance, loss, nearest):
    """Each particle's best and the swarm's, anew. Arrays are (particles, problems, dimensions); losses lack the last
    axis. With `nearest`, of equal losses the one nearer to `near` is better."""
    particles, problems, dimensions = x.shape
    for i in range(particles):
        for n in range(problems):
            lower = loss[i, n] < own_loss[i, n]
            if nearest and (lower or loss[i, n] == own_loss[i, n]):
                distance = x.dtype.type(0)
                for d in range(dimensions):
                    distance += (x[i, n, d] - near[n, d]) ** 2
                lower = lower or distance < own_distance[i, n]
                own_distance[i, n] = distance if lower else own_distance[i, n]
            if lower:
                own_loss[i, n] = loss[i, n]
                for d in range(dimensions):
                    own[i, n, d] = x[i, n, d]
        for n in range(problems):
            lower = own_loss[i, n] < best_loss[n]
            if nearest and own_loss[i, n] == best_loss[n]:
                lower = own_distance[i, n] < best_distance[n]
            if lower:
                best_loss[n] = own_loss[i, n]
                if nearest:
                    best_distance[n] = own_distance[i, n]
                for d in range(dimensions):
                    best[n, d] = own[i, n, d]


@njit(nogil=True, error_model="numpy")
def note_numbers(x, own, own_loss, best, best_loss, near, own_distance, best_distance, loss, nearest):
    """`note` where positions are numbers, arrays (particles, problems). All is read before a choice, and conditions are
    joined without branches, else it would not be vectorised and take four times as long."""
    particles, problems = x.shape
    for i in range(particles):
        for n in range(problems):
            here, there, now, least = x[i, n], own[i, n], loss[i, n], own_loss[i, n]
            lower = now < least
            if nearest:
                distance, far = (here - near[n]) ** 2, own_distance[i, n]
                lower = lower | ((now == least) & (distance < far))
                own_distance[i, n] = distance if lower else far
            own_loss[i, n] = now if lower else least
            own[i, n] = here if lower else there
        for n in range(problems):
            here, there, now, least = own[i, n], best[n], own_loss[i, n], best_loss[n]
            lower = now < least
            if nearest:
                distance, far = own_distance[i, n], best_distance[n]
                lower = lower | ((now == least) & (distance < far))
                best_distance[n] = distance if lower else far
            best_loss[n] = now if lower else least
            best[n] = here if lower else there


@njit(nogil=True, error_model="numpy")
def move(x, m, own, best, low, high, bits, constants):
    """Moves particles (particles, problems * dimensions), each number with a factor of its own."""
    real = x.dtype.type
    c1, c2, a, b, c = real(constants[0]), real(constants[1]), real(constants[2]), real(constants[3]), real(constants[4])
    half, step = real(HALF), real(STEP)
    for i in range(x.shape[0]):
        for n in range(x.shape[1]):
            r1, r2 = c1 * ((real(bits[0, i, n]) + half) * step), c2 * ((real(bits[1, i, n]) + half) * step)
            pull = r1 * (own[i, n] - x[i, n]) + r2 * (best[n] - x[i, n])
            moved = x[i, n] + a * m[i, n] + pull
            m[i, n] = b * m[i, n] + c * pull
            x[i, n] = min(max(moved, low[n]), high[n])


@njit(nogil=True, error_model="numpy")
def move_together(x, m, own, best, low, high, bits, constants):
    """The same where one factor moves all dimensions of a particle: bits (2, particles, problems, 1)."""
    real = x.dtype.type
    c1, c2, a, b, c = real(constants[0]), real(constants[1]), real(constants[2]), real(constants[3]), real(constants[4])
    half, step = real(HALF), real(STEP)
    particles, problems, dimensions = x.shape
    for i in range(particles):
        for n in range(problems):
            r1, r2 = c1 * ((real(bits[0, i, n, 0]) + half) * step), c2 * ((real(bits[1, i, n, 0]) + half) * step)
            for d in range(dimensions):
                pull = r1 * (own[i, n, d] - x[i, n, d]) + r2 * (best[n, d] - x[i, n, d])
                moved = x[i, n, d] + a * m[i, n, d] + pull
                m[i, n, d] = b * m[i, n, d] + c * pull
                x[i, n, d] = min(max(moved, low[n, d]), high[n, d])
