// Boxes of a volume, banded matrices along an axis, products of gradients.
// Meaning and shapes: napari_mrisr/kernels/reference.py. One thread an output value.
// Sums run in the order of the CPU's, each step rounded once, so that both give the same bits.

static __device__ unsigned thread_number() { return blockIdx.x * blockDim.x + threadIdx.x; }

// out[i, j, k] = source[x[i], y[j], z[k]]
extern "C" __global__ void take_box(
    const float* __restrict__ source, int sy, int sz,
    const int* __restrict__ x, const int* __restrict__ y, const int* __restrict__ z,
    int nx, int ny, int nz, float* __restrict__ out)
{
    unsigned n = thread_number();
    if (n >= (unsigned)nx * ny * nz) return;
    unsigned k = n % nz, line = n / nz, j = line % ny, i = line / ny;
    out[n] = source[((size_t)x[i] * sy + y[j]) * sz + z[k]];
}

// The array is seen as (parts, lines, n_in, inner), the result as (parts, lines, rows, inner);
// blockIdx.y counts parts. taps are (width, rows), so that neighboring threads read neighbors.
extern "C" __global__ void apply_rows(
    const float* __restrict__ source, const int* __restrict__ first,
    const float* __restrict__ taps, int lines, int n_in, int inner, int rows, int width,
    float* __restrict__ out)
{
    unsigned n = thread_number(), count = (unsigned)lines * rows * inner;
    if (n >= count) return;
    unsigned column = n % inner, across = n / inner, row = across % rows;
    size_t line = (size_t)blockIdx.y * lines + across / rows;
    const float* from = source + (line * n_in + first[row]) * inner + column;
    float total = 0.0f;
    for (int t = 0; t < width; ++t)
        total = fmaf(taps[t * rows + row], from[(size_t)t * inner], total);
    out[(size_t)blockIdx.y * count + n] = total;
}

// Seven parts, of the voxels inside a border of one: the six products, and the voxels themselves.
extern "C" __global__ void gradient_products(
    const float* __restrict__ source, int nx, int ny, int nz, float* __restrict__ out)
{
    unsigned n = thread_number();
    size_t count = (size_t)nx * ny * nz;
    if (n >= count) return;
    unsigned k = n % nz, line = n / nz, j = line % ny, i = line / ny;
    size_t along_y = nz + 2, along_x = (ny + 2) * along_y;
    const float* at = source + (i + 1) * along_x + (j + 1) * along_y + k + 1;
    float x = at[along_x] - *(at - along_x), y = at[along_y] - *(at - along_y);
    float z = at[1] - *(at - 1);
    float* to = out + n;
    to[0 * count] = 0.25f * x * x;
    to[1 * count] = 0.25f * x * y;
    to[2 * count] = 0.25f * x * z;
    to[3 * count] = 0.25f * y * y;
    to[4 * count] = 0.25f * y * z;
    to[5 * count] = 0.25f * z * z;
    to[6 * count] = *at;
}
