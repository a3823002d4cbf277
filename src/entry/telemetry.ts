import { setTimeout as delay } from 'node:timers/promises';
import type { Telemetry } from 'bullmq';
import { packageVersion } from './package-info.ts';

/** How long sending what is left may take, in ms. */
const closeMs = 2000;

/** Traces of jobs on their way through the queues, sent by OTLP over HTTP. */
export interface Tracing {
  telemetry: Telemetry;
  /** Sends what has not been sent. */
  close(): Promise<void>;
}

/**
 * Sends traces to an OpenTelemetry collector. A job's trace leads from whoever handed it to the queue (the one who asked,
 * unless it had to wait for a place) to the worker that ran it.
 *
 * @param url such as http://localhost:4318/v1/traces
 */
export async function openTracing(url: string): Promise<Tracing> {
  const [
    { context, propagation, trace },
    { BatchSpanProcessor, TracerProvider },
    { OTLPTraceExporter },
    { resourceFromAttributes },
    { AsyncLocalStorageContextManager },
    { W3CTraceContextPropagator },
    { BullMQOtel },
  ] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/context-async-hooks'),
    import('@opentelemetry/core'),
    import('bullmq-otel'),
  ]);
  const version = packageVersion();
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'msp-toolkit', 'service.version': version }),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url }) })],
  });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  return {
    telemetry: new BullMQOtel({ tracerName: 'msp-toolkit', version }),
    // A collector that is away must not hold up whoever ends.
    close: () => Promise.race([provider.shutdown(), delay(closeMs, undefined, { ref: false })]),
  };
}
