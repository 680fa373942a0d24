/** distribution: registries as a client sees them; images from anywhere to anywhere. */
export { type AuthConfig, credentialsOf } from "./auth.ts";
export { copyImage, type CopyEvent, type CopyRequest } from "./copy-image.ts";
export { DockerConfig, hubServer } from "./docker-config.ts";
export { type EndpointName, openSource, openTarget, parseEndpointName } from "./endpoint-name.ts";
export { hostOf, type LoginResult, Registries, type RegistriesOptions } from "./registries.ts";
export type { SearchResult } from "./search.ts";
export {
  noRegistriesConfig,
  parseRegistriesConfig,
  type RegistriesConfig,
  type RegistrySettings,
  withRegistryFlags,
} from "./settings.ts";
