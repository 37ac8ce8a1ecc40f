// Filters of WIDTH^3 voxels (a macro, so that the loops unroll), and patches for training.
// Meaning and shapes: napari_mrisr/kernels/reference.py.
//
// A patch is read in its canonical order by walking along the axes that its symmetry names, so no
// table of offsets is read. Filters are cut into WIDTH planes, each padded with zeros to a
// multiple of four taps, which are loaded at once. Neighboring threads are neighbors along z:
// where they share a symmetry their reads are one.

#ifndef WIDTH
#define WIDTH 1
#endif
#define AREA (WIDTH * WIDTH)
#define QUADS ((AREA + 3) / 4)
#define RADIUS (WIDTH / 2)

static __device__ unsigned thread_number() { return blockIdx.x * blockDim.x + threadIdx.x; }

// Steps in a flat array along the canonical axes of a symmetry (napari_mrisr/bank/hashing.py: ELEMENTS).
static __device__ void steps_of(int e, int along_x, int along_y, int* a, int* b, int* c)
{
    int steps[3] = {along_x, along_y, 1};
    int p = e >> 3, first = p >> 1;
    int low = first == 0 ? 1 : 0, high = first == 2 ? 1 : 2;
    *a = e & 4 ? -steps[first] : steps[first];
    int second = p & 1 ? steps[high] : steps[low], third = p & 1 ? steps[low] : steps[high];
    *b = e & 2 ? -second : second;
    *c = e & 1 ? -third : third;
}

// One value a voxel. source is (nx + 2 RADIUS, ...), weights are (filters, WIDTH, 4 QUADS).
// add: the voxel itself is added to what its filter gives. Nothing is below low.
extern "C" __global__ void filter_voxels(
    const float* __restrict__ source, const int* __restrict__ bucket,
    const unsigned char* __restrict__ element, int nx, int ny, int nz,
    const float4* __restrict__ weights, int filters, int centered, int add, float low,
    float* __restrict__ out)
{
    unsigned n = thread_number();
    if (n >= (unsigned)nx * ny * nz) return;
    unsigned k = n % nz, line = n / nz, j = line % ny, i = line / ny;
    int along_y = nz + 2 * RADIUS, along_x = (ny + 2 * RADIUS) * along_y;
    const float* at = source + (size_t)(i + RADIUS) * along_x + (j + RADIUS) * along_y + k + RADIUS;
    float middle = centered ? *at : 0.0f;
    float s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f;
    int filter = bucket[n];
    if (filter < filters) {
        int a, b, c;
        steps_of(element[n], along_x, along_y, &a, &b, &c);
        const float* from = at - RADIUS * (a + b + c);
        const float4* row = weights + (size_t)filter * WIDTH * QUADS;
        for (int plane = 0; plane < WIDTH; ++plane, from += a, row += QUADS) {
#pragma unroll
            for (int q = 0; q < QUADS; ++q) {
                int t = 4 * q;
                float4 w = __ldg(row + q);
                s0 = fmaf(w.x, from[t / WIDTH * b + t % WIDTH * c] - middle, s0);
                if (++t < AREA) s1 = fmaf(w.y, from[t / WIDTH * b + t % WIDTH * c] - middle, s1);
                if (++t < AREA) s2 = fmaf(w.z, from[t / WIDTH * b + t % WIDTH * c] - middle, s2);
                if (++t < AREA) s3 = fmaf(w.w, from[t / WIDTH * b + t % WIDTH * c] - middle, s3);
            }
        }
    }
    out[n] = fmaxf(low, (add ? *at : 0.0f) + ((s0 + s1) + (s2 + s3)));
}

// Eight outputs a thread; blockIdx.y counts eights. weights are (filters, taps, 2 groups) quads,
// places (48, outputs): steps in out from a cell's corner. Adds to out; nothing is below low.
extern "C" __global__ void filter_cells(
    const float* __restrict__ source, const int* __restrict__ bucket,
    const unsigned char* __restrict__ element, int nx, int ny, int nz,
    const int* __restrict__ places, int outputs, const float4* __restrict__ weights, int filters,
    int sx, int sy, int sz, float low, float* __restrict__ out)
{
    unsigned n = thread_number();
    if (n >= (unsigned)nx * ny * nz) return;
    int filter = bucket[n];
    if (filter >= filters) return;
    unsigned k = n % nz, line = n / nz, j = line % ny, i = line / ny;
    int along_y = nz + 2 * RADIUS, along_x = (ny + 2 * RADIUS) * along_y;
    const float* at = source + (size_t)(i + RADIUS) * along_x + (j + RADIUS) * along_y + k + RADIUS;
    float middle = *at;
    int e = element[n], a, b, c, group = blockIdx.y, groups = gridDim.y;
    steps_of(e, along_x, along_y, &a, &b, &c);
    const float* from = at - RADIUS * (a + b + c);
    const float4* row = weights + ((size_t)filter * WIDTH * AREA * groups + group) * 2;
    float total[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    for (int plane = 0; plane < WIDTH; ++plane, from += a) {
#pragma unroll
        for (int t = 0; t < AREA; ++t, row += 2 * groups) {
            float value = from[t / WIDTH * b + t % WIDTH * c] - middle;
            float4 v = __ldg(row), w = __ldg(row + 1);
            total[0] = fmaf(value, v.x, total[0]);
            total[1] = fmaf(value, v.y, total[1]);
            total[2] = fmaf(value, v.z, total[2]);
            total[3] = fmaf(value, v.w, total[3]);
            total[4] = fmaf(value, w.x, total[4]);
            total[5] = fmaf(value, w.y, total[5]);
            total[6] = fmaf(value, w.z, total[6]);
            total[7] = fmaf(value, w.w, total[7]);
        }
    }
    float* corner = out + ((size_t)i * sx * (ny * sy) + j * sy) * (nz * sz) + k * sz;
    const int* spots = places + e * outputs + 8 * group;
#pragma unroll
    for (int q = 0; q < 8; ++q)
        if (8 * group + q < outputs) corner[spots[q]] = fmaxf(low, corner[spots[q]] + total[q]);
}

// One value a thread: row n / taps of the result is a patch, read by a table of offsets (48, taps).
extern "C" __global__ void gather(
    const float* __restrict__ source, const long long* __restrict__ base,
    const unsigned char* __restrict__ element, int rows, const int* __restrict__ offsets, int taps,
    int centered, float* __restrict__ out)
{
    unsigned n = thread_number();
    if (n >= (unsigned)rows * taps) return;
    unsigned row = n / taps, tap = n % taps;
    const float* at = source + base[row];
    out[n] = at[offsets[element[row] * taps + tap]] - (centered ? *at : 0.0f);
}
