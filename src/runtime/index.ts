/** runtime */
export {};
