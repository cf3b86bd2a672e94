import io.pyroscope.labels.v2.LabelsSet;
import io.pyroscope.labels.v2.Pyroscope;
import io.pyroscope.labels.v2.ScopedContext;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Work of known shares, until standard input ends. Then one line: what it did, by its own measure.
 *
 * <p>CPU: Orders.process three times Billing.invoice, both through the same leaf, under labels. Allocation:
 * Buffers.large three times Buffers.small. Locks: three threads hold a monitor or a ReentrantLock for 15 ms.
 */
public class Work {
    static final AtomicLong ORDERS = new AtomicLong(), BILLING = new AtomicLong(), WAITED = new AtomicLong();
    static final AtomicLong LARGE = new AtomicLong(), SMALL = new AtomicLong();
    static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
    /** Never in step with the profiler's clock. */
    static final Random PACE = new Random();

    static volatile long sink;
    static volatile byte[] kept;
    static volatile boolean over;

    /** The leaf of all CPU time: about half a millisecond a unit. */
    static void spin(int units) {
        long x = sink | 1;
        for (int i = 0; i < units * 400_000; i++) {
            x ^= x << 13;
            x ^= x >>> 7;
            x ^= x << 17;
        }
        sink = x;
    }

    static class Orders {
        static void process() {
            long begin = THREADS.getCurrentThreadCpuTime();
            spin(3 * PACE.nextInt(10, 30));
            ORDERS.addAndGet(THREADS.getCurrentThreadCpuTime() - begin);
        }
    }

    static class Billing {
        static void invoice() {
            long begin = THREADS.getCurrentThreadCpuTime();
            spin(PACE.nextInt(10, 30));
            BILLING.addAndGet(THREADS.getCurrentThreadCpuTime() - begin);
        }
    }

    static class Buffers {
        static void large() {
            int n = 3 * PACE.nextInt(50, 150);
            for (int i = 0; i < n; i++) {
                kept = new byte[8192];
            }
            LARGE.addAndGet(n * 8192);
        }

        static void small() {
            int n = PACE.nextInt(50, 150);
            for (int i = 0; i < n; i++) {
                kept = new byte[8192];
            }
            SMALL.addAndGet(n * 8192);
        }
    }

    static class Locks {
        static final Object MONITOR = new Object();
        static final ReentrantLock LOCK = new ReentrantLock();

        static void monitor() throws InterruptedException {
            long begin = System.nanoTime();
            synchronized (MONITOR) {
                WAITED.addAndGet(System.nanoTime() - begin);
                Thread.sleep(15);
            }
        }

        static void reentrant() throws InterruptedException {
            long begin = System.nanoTime();
            LOCK.lock();
            try {
                WAITED.addAndGet(System.nanoTime() - begin);
                Thread.sleep(15);
            } finally {
                LOCK.unlock();
            }
        }
    }

    interface Step {
        void run() throws Exception;
    }

    static Thread loop(String name, Step step) {
        Thread t = new Thread(() -> {
            try {
                while (!over) {
                    step.run();
                }
            } catch (Exception e) {
                e.printStackTrace();
                System.exit(1);
            }
        }, name);
        t.start();
        return t;
    }

    static void cpu() {
        Pyroscope.LabelsWrapper.run(new LabelsSet("controller", "orders"), Orders::process);
        try (ScopedContext scope = new ScopedContext(new LabelsSet("controller", "billing", "stadt", "Größe ✓"))) {
            Billing.invoice();
        }
    }

    public static void main(String[] args) throws Exception {
        Thread[] all = {loop("cpu", Work::cpu), loop("alloc", () -> {
            Buffers.large();
            Buffers.small();
            Thread.sleep(20);
        }), loop("lock-1", Locks::monitor), loop("lock-2", Locks::monitor), loop("lock-3", Locks::reentrant),
            loop("lock-4", Locks::reentrant)};
        while (System.in.read() >= 0) {
            continue;
        }
        over = true;
        for (Thread t : all) {
            t.join();
        }
        System.out.printf("{\"heavy\": %d, \"light\": %d, \"large\": %d, \"small\": %d, \"waited\": %d}%n",
            ORDERS.get(), BILLING.get(), LARGE.get(), SMALL.get(), WAITED.get());
    }
}
