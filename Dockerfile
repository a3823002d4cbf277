FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN PUPPETEER_SKIP_DOWNLOAD=1 npm install --no-save --ignore-scripts --no-audit --no-fund
COPY . .
RUN node scripts/build.ts && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-bookworm-slim
RUN apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends redis-server chromium fonts-liberation fonts-wqy-microhei libsecret-1-0 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/templates ./templates
RUN useradd --system --create-home msp && mkdir /data && chown msp:msp /data && chmod 700 /data
USER msp
# Docker's default profile forbids the user namespaces that Chromium's sandbox is made of.
ENV MSP_HOME=/data NODE_ENV=production MSP_REPORTING_SANDBOX=false
VOLUME /data
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["serve"]
