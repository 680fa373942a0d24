/** kernel */
export {};
