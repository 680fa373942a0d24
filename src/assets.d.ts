/** Files that the build embeds; an import gives the path to read them from. */
declare module "*.bin" {
  const path: string;
  export default path;
}
declare module "*.node" {
  const path: string;
  export default path;
}
